/*! Claimcheck 0.1.0, built from clients/js/src/md5-worker.js */
import{md5 as t}from"./md5.js";addEventListener("message",async({data:{id:e,blob:a}})=>{let s=await t(a).catch(()=>{});postMessage({id:e,digest:s})});
