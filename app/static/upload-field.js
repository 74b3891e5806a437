/*! Claimcheck 0.1.0, built from clients/js/src/upload-field.js */
import{language as k,sayIn as S}from"./words.js";var w=document.createElement("template");w.innerHTML=`
  <div class="field" role="group">
    <ul class="files"></ul>
    <p class="taken-out quiet" hidden><span></span> <button type="button" class="undo" data-say="undo"></button></p>
    <p class="problem refused" role="alert" hidden></p>
    <label class="drop">
      <input type="file" class="unseen">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 16V6m0 0L8 10m4-4 4 4M5 15v2a3 3 0 0 0 3 3h8a3 3 0 0 0 3-3v-2"/></svg>
      <span><span class="call"></span><span class="pointer"></span></span>
      <span class="quiet accepts"></span>
    </label>
    <p class="unseen said" role="status"></p>
  </div>
  <template>
    <li class="file" tabindex="-1">
      <span class="thumb" aria-hidden="true"></span>
      <p class="name"><bdi></bdi></p>
      <p class="quiet state"></p>
      <progress max="1" value="0" hidden></progress>
      <p class="problem" role="alert" hidden></p>
      <p class="actions">
        <button type="button" class="up" data-say-title="up" hidden>↑</button>
        <button type="button" class="down" data-say-title="down" hidden>↓</button>
        <button type="button" class="pause" data-say="pause" hidden></button>
        <button type="button" class="resume" data-say="resume" hidden></button>
        <a class="sign-in" target="_blank" rel="noopener" data-say="sign-in" hidden></a>
        <button type="button" class="retry" data-say="retry" hidden></button>
        <button type="button" class="cancel" data-say="cancel" hidden></button>
        <button type="button" class="dismiss" data-say="dismiss" hidden></button>
        <button type="button" class="replace" data-say="replace" hidden></button>
        <button type="button" class="remove" data-say="remove" hidden></button>
      </p>
    </li>
  </template>
`;var C=new CSSStyleSheet;C.replaceSync(`
  :host {
    --accent: var(--claimcheck-accent, var(--tblr-primary, #0f766e));
    --danger: var(--claimcheck-danger, #d63939);
    --radius: var(--claimcheck-radius, var(--tblr-border-radius, 8px));
    --line: color-mix(in srgb, currentColor 22%, transparent);
    --tint: color-mix(in srgb, currentColor 5%, transparent);
    display: block;
    container-type: inline-size;
    line-height: 1.4;
  }
  :host([hidden]), [hidden] { display: none !important; }
  * { box-sizing: border-box; margin: 0; padding: 0; }
  .field { display: grid; gap: 8px; }
  .files { display: grid; gap: 8px; list-style: none; }
  .files:empty { display: none; }
  .quiet { font-size: 0.875em; opacity: 0.85; }
  .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

  .drop {
    position: relative;
    display: grid;
    justify-items: center;
    gap: 4px;
    padding: 18px 16px;
    border: 2px dashed color-mix(in srgb, currentColor 40%, transparent);
    border-radius: var(--radius);
    text-align: center;
    cursor: pointer;
  }
  .drop svg { width: 28px; fill: none; stroke: currentColor; stroke-width: 1.6; opacity: 0.7;
    stroke-linecap: round; stroke-linejoin: round; }
  .call { font-weight: 600; text-decoration: underline; text-underline-offset: 3px; }
  .drop:hover, .over .drop { border-color: var(--accent); background: var(--tint); }
  .over .drop { border-style: solid; }
  .over .file { border-color: var(--accent); }
  .drop:has(:focus-visible), :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  .drop :focus-visible { outline: none; }
  .drop:has(:disabled) { cursor: default; opacity: 0.6; }
  @media (hover: none) { .pointer { display: none; } }

  .file {
    display: grid;
    grid-template: "thumb name actions" auto "thumb state actions" auto
      "progress progress progress" auto "problem problem problem" auto / 56px 1fr auto;
    align-items: center;
    gap: 0 12px;
    padding: 10px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
  }
  .thumb {
    grid-area: thumb;
    display: grid;
    place-items: center;
    width: 56px;
    height: 56px;
    border-radius: calc(var(--radius) * 0.75);
    background: var(--tint);
    font-size: 0.8em;
    font-weight: 600;
    overflow: hidden;
  }
  .thumb > img, .thumb > canvas { width: 100%; height: 100%; object-fit: cover; }
  .name { grid-area: name; align-self: end; font-weight: 600; overflow-wrap: anywhere; }
  .state { grid-area: state; align-self: start; overflow-wrap: anywhere; }
  .actions { grid-area: actions; display: flex; flex-wrap: wrap; justify-content: end; gap: 6px; }
  progress { grid-area: progress; width: 100%; height: 8px; margin-top: 8px; border: 0;
    border-radius: 4px; appearance: none; overflow: hidden; background: var(--line); }
  progress::-webkit-progress-bar { background: transparent; }
  progress::-webkit-progress-value { background: var(--accent); transition: inline-size 0.2s; }
  progress::-moz-progress-bar { background: var(--accent); }
  .file .problem { grid-area: problem; margin-top: 8px; }
  .problem { padding: 8px 12px; border-radius: var(--radius);
    border-inline-start: 4px solid var(--danger);
    background: color-mix(in srgb, var(--danger) 10%, transparent); overflow-wrap: anywhere; }
  .problem strong { display: block; }

  button, .sign-in {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    min-height: 34px;
    padding: 0 12px;
    border: 1px solid color-mix(in srgb, currentColor 35%, transparent);
    border-radius: var(--radius);
    background: transparent;
    color: inherit;
    font: inherit;
    font-size: 0.875em;
    font-weight: 500;
    text-decoration: none;
    cursor: pointer;
  }
  button:hover, .sign-in:hover { background: var(--tint); border-color: currentColor; }
  button:disabled { opacity: 0.4; cursor: default; }
  .undo { min-height: 30px; margin-inline-start: 4px; }

  @container (max-width: 440px) {
    .file { grid-template: "thumb name" auto "thumb state" auto "progress progress" auto
      "problem problem" auto "actions actions" auto / 56px 1fr; }
    .actions { margin-top: 10px; }
    .actions > * { flex: 1 1 auto; min-height: 42px; }
  }
  @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
  @media (forced-colors: active) {
    progress { border: 1px solid CanvasText; forced-color-adjust: none; }
    progress::-webkit-progress-value { background: Highlight; }
    progress::-moz-progress-bar { background: Highlight; }
  }
`);function E(c){let t=c.attachShadow({mode:"open",delegatesFocus:!0});return t.adoptedStyleSheets=[C],t.append(w.content.cloneNode(!0)),t.firstElementChild.lang=k().lang,t.firstElementChild.dir=k().dir,S(t),t}import{badge as z,picture as L}from"./thumbnail.js";import{UploadError as O}from"./uploader.js";import{bytes as y,failure as j,listed as v,quoted as A,say as d,told as F}from"./words.js";function m(c,t){let{title:e,detail:s,lang:i}=F(c,t);return new O(e,s,{...t,lang:i})}var f=class{value=null;state="waiting";#o="";#s={};#t;#l;constructor(t,e){Object.assign(this,{field:t},e),this.item=t.newRow(),this.#i("bdi").textContent=this.filename;for(let u of this.item.querySelectorAll(".actions > *")){this.#s[u.className]=u;let q=u.title||u.textContent;u.setAttribute("aria-label",d("does",{does:q,file:this.filename}))}this.#i("progress").setAttribute("aria-label",d("upload-of",{file:this.filename}));let{up:s,down:i,pause:n,resume:r,retry:l,cancel:a,dismiss:o,replace:p,remove:b}=this.#s;s.onclick=()=>this.#d(-1,s,i),i.onclick=()=>this.#d(1,i,s),n.onclick=()=>this.#l?.pause(),r.onclick=()=>this.#l?.resume(),l.onclick=()=>this.#r(),a.onclick=()=>{this.abandon(),t.dismiss(this),t.say(d("is-cancelled",{file:A(this.filename)}))},o.onclick=()=>t.dismiss(this),p.onclick=()=>t.pick(),b.onclick=()=>t.remove(this),this.#h(),this.show(this.state==="kept"?this.#n:d("waiting"))}get isOpen(){return!["kept","stored","failed"].includes(this.state)}get#n(){return this.size===void 0?"":y(Number(this.size))}#i(t){return this.item.querySelector(t)}focus(){([...this.item.querySelectorAll(".actions > :not(.cancel)")].find(({hidden:e,disabled:s})=>!e&&!s)??this.item).focus()}place(t,e){let s=this.field.isList&&e>1&&!this.field.isFixed&&this.value!==null;this.#s.up.hidden=this.#s.down.hidden=!s,this.#s.up.disabled=t===0,this.#s.down.disabled=t===e-1}#d(t,e,s){this.field.move(this,t),(e.disabled?s:e).focus()}async send(t){this.#t=t;let e=i=>this.#u(i),s=this.#l=t.upload(this.file,{onProgress:e});try{let i=await s;this.value=i.id,this.state="stored",this.show(v([this.#n,d("uploaded-save")])),this.field.uploaded(this)}catch(i){if(i.name==="AbortError")return;if(this.fail(i),!(i instanceof O))throw i}}#u({loaded:t,total:e,state:s}){if(!this.isOpen)return;let i=s!==this.state;this.state=s,this.#i("progress").value=e?t/e:1;let n=s!=="confirming"&&d("part-of",{loaded:y(t),total:y(e)}),r=v([s!=="sending"&&d(s),n]);this.show(r),i&&(this.field.changed(),["waiting","sending","confirming"].includes(s)||this.field.say(`${A(this.filename)}: ${r}`))}fail(t){if(!this.isOpen)return;this.state="failed",t.status===401&&!t.signedOut&&(t=m("session-over",{status:401}),this.#t=null),this.error=t;let{title:e,detail:s,lang:i}=j(t),n=document.createElement("strong");n.textContent=e,this.#i(".problem").lang=i,this.#i(".problem").replaceChildren(n,` ${s}`),this.show(v([d("not-sent"),this.#n])),this.field.changed()}#r(){this.state="waiting",this.#l=null,this.#i("progress").value=0,this.show(d("waiting")),this.field.changed(),this.#t&&this.error.type!=="upload-session-exhausted"?this.send(this.#t):this.field.start([this])}abandon(){this.isOpen&&this.#l?.cancel(),this.state="failed"}show(t=this.#o){this.#o=t;let{state:e,field:s,error:i}=this,n=this.item.getRootNode().activeElement;this.#i(".state").textContent=t;let r=e==="failed";this.#i(".problem").hidden=!r,this.#i("progress").hidden=!this.isOpen;let l=e==="paused",a={pause:this.isOpen&&!l&&this.#l&&e!=="confirming",resume:l,cancel:this.isOpen,"sign-in":r&&i?.signedOut,retry:r&&i?.retry,dismiss:r,replace:!this.isOpen&&!r&&!s.isList&&!s.isFixed,remove:!this.isOpen&&!r&&!s.isFixed};this.#s["sign-in"].href=s.getAttribute("sign-in")??location.href;for(let[o,p]of Object.entries(a))this.#s[o].hidden=!p;n?.hidden&&this.item.contains(n)&&this.focus()}async#h(){let t=z(this.filename,d("nameless").toLowerCase()),e=this.#i(".thumb");if(e.replaceChildren(t),this.src){let s=new Image;s.alt="",s.onerror=()=>e.replaceChildren(t),s.src=this.src,e.replaceChildren(s)}else this.file&&e.replaceChildren(await L(this.file)??t)}};import{Uploader as T,UploadError as B}from"./uploader.js";import{limits as I,quoted as g,refusal as M,say as h,speak as N}from"./words.js";var x=class extends HTMLElement{static formAssociated=!0;#o=this.attachInternals();#s;#t=[];#l=[];#n=null;#i=null;#d=!1;connectedCallback(){let t=this.closest("[lang]")?.lang,e=N([...t?[t]:[],...navigator.languages]);e?e.then(()=>this.isConnected&&this.#u()):this.#u()}#u(){if(this.#s)return;this.#s=E(this);let t=[...this.querySelectorAll("input[type=hidden]")].filter(({value:e})=>e);for(let e of t){let{filename:s=h("nameless"),type:i="",size:n,src:r}=e.dataset;this.#c(new f(this,{value:e.value,filename:s,type:i,size:n,src:r,state:"kept"}))}this.#l=[...this.#t],this.#y(),this.#b(),this.#a(!1)}formResetCallback(){if(this.#s){for(let t of[...this.#t])t.isOpen&&t.abandon(),this.#f(t);this.#n=null,this.#m(),this.#p(null);for(let t of this.#l)this.#c(t);this.#a(!1)}}formDisabledCallback(){if(this.#s){this.#b();for(let t of this.#t)t.show();this.#a(!1)}}get#r(){return this.hasAttribute("multiple")}get#h(){return this.#r?Number(this.getAttribute("max-files")??1/0):1}get#g(){let t=(this.getAttribute("accept")??"").split(",").map(e=>e.trim());return{accepted:t.includes("*/*")?[]:t.filter(Boolean),maxSize:Number(this.getAttribute("max-size")??1/0)}}get isFixed(){return this.matches(":disabled")}get isList(){return this.#r}#e(t){return this.#s.querySelector(t)}#b(){let t=this.#e("input");t.multiple=this.#r,t.accept=this.getAttribute("accept")??"",t.disabled=this.isFixed,t.ariaRequired=String(this.hasAttribute("required")),this.#e(".call").textContent=h(this.#r?"choose-files":"choose-file"),this.#e(".pointer").textContent=h(this.#r?"or-drop-them":"or-drop-it");let e=I(this.#g);this.#e(".accepts").textContent=e&&e[0].toUpperCase()+e.slice(1);let s=[...this.#o.labels].map(r=>r.textContent.trim()).join(" ");this.#e(".field").setAttribute("aria-label",s||this.getAttribute("name"));let i=(this.getAttribute("aria-describedby")??"").split(" ").filter(Boolean),n=i.map(r=>document.getElementById(r)?.textContent.trim()??"");i.length&&this.#e(".field").setAttribute("aria-description",n.join(" "))}#y(){let t=this.#e("input");t.onchange=()=>{this.choose([...t.files]),t.value=""},this.#e(".undo").onclick=()=>this.#k(),this.addEventListener("invalid",s=>{s.preventDefault(),this.#p(this.#o.validationMessage,!0),this.scrollIntoView({block:"nearest"}),(this.#t.find(i=>i.value===null)??this.#e("input")).focus()}),this.addEventListener("click",s=>{s.composedPath()[0]===this&&!this.#e(".drop").hidden&&this.pick()});let e=s=>this.#e(".field").classList.toggle("over",s);this.addEventListener("dragover",s=>{this.isFixed||!s.dataTransfer.types.includes("Files")||(s.preventDefault(),e(!0))}),this.addEventListener("dragleave",({relatedTarget:s})=>{this.contains(s)||e(!1)}),this.addEventListener("drop",s=>{e(!1),!(this.isFixed||!s.dataTransfer.files.length)&&(s.preventDefault(),this.choose([...s.dataTransfer.files]))})}choose(t){this.#r||(t=t.slice(0,1));let e=this.#r?Math.max(0,this.#h-this.#t.length):1,s=t.length-e,i=[];for(let n of t.slice(0,e)){!this.#r&&this.#t.length&&this.#v(this.#t[0]);let r=new f(this,{file:n,filename:n.name,type:n.type,size:n.size});this.#c(r);let l=M(n,this.#g);l?r.fail({...l,retry:!1}):i.push(r)}this.#m(),this.start(i),this.#a(),this.#p(s>0?h("at-most",{count:this.#h,left:s}):null),i[0]?.focus()}#v(t){t.value!==null?this.#n=t:t.abandon(),this.#f(t)}#p(t,e=!1){this.#e(".refused").hidden=!t,this.#e(".refused").textContent=t??"",this.#d=e}async start(t){if(!t.length)return;let e;try{e=await this.#x()}catch(s){for(let i of t)i.fail(s);return}for(let s of t)s.isOpen&&s.send(e)}async#x(){let t={},[e,s]=["csrf-header","csrf-cookie"].map(a=>this.getAttribute(a)),i=document.cookie.split("; ").find(a=>a.startsWith(`${s}=`));e&&i&&(t[e]=decodeURIComponent(i.slice(s.length+1)));let n,r;try{let a={method:"POST",headers:t,redirect:"manual"};n=await fetch(this.getAttribute("session"),a),r=await n.json()}catch{if(!n)throw m("site-unreachable",{status:0})}if(n.ok&&r?.token){let{token:a,endpoint:o,destination:p,resumable:b}=r,u=b?void 0:null;return new T({token:a,endpoint:o,destination:p,storage:u})}if(r?.title){let{lang:a}=document.documentElement;throw new B(r.title,r.detail,{status:n.status,lang:a})}throw!(n.ok||n.type==="opaqueredirect")&&![401,403].includes(n.status)?m("site-failed",{status:n.status}):m("signed-out",{status:401,signedOut:!0})}uploaded(t){this.#n=null,this.say(h("is-uploaded",{file:g(t.filename)})),this.#a()}changed(){this.#a(!1)}say(t){this.#e(".said").textContent=t}pick(){this.#e("input").click()}move(t,e){let s=this.#t.indexOf(t),i=s+e;this.#t.splice(s,1),this.#t.splice(i,0,t),this.#e(".files").insertBefore(t.item,this.#t[i+1]?.item??null),this.say(h("moved",{file:g(t.filename),place:i+1,count:this.#t.length})),this.#a()}remove(t){let e=this.#t.indexOf(t);this.#f(t),this.#i={row:t,index:e};let s=t.state==="kept"?"taken-out-kept":"taken-out";this.#e(".taken-out span").textContent=h(s,{file:g(t.filename)}),this.#e(".taken-out").hidden=!1,this.say(this.#e(".taken-out span").textContent),this.#a(),this.#e(".undo").focus()}dismiss(t){let e=this.#t.indexOf(t);this.#f(t),this.#n&&this.#c(this.#n,0),this.#n=null,this.#a(),(this.#t[Math.min(e,this.#t.length-1)]??this.#e("input")).focus()}#k(){let{row:t,index:e}=this.#i;this.#m(),this.#c(t,e),this.#a(),t.focus()}#m(){this.#i=null,this.#e(".taken-out").hidden=!0}#c(t,e=this.#t.length){this.#e(".files").insertBefore(t.item,this.#t[e]?.item??null),this.#t.splice(e,0,t)}#f(t){this.#t=this.#t.filter(e=>e!==t),t.item.remove()}newRow(){return this.#e("template").content.firstElementChild.cloneNode(!0)}#a(t=!0){let e=this.#t;e.forEach((a,o)=>a.place(o,e.length)),this.#e(".drop").hidden=e.length>=this.#h||this.isFixed&&e.length>0;let s=e.map(({value:a})=>a).filter(a=>a!==null);this.#n&&s.push(this.#n.value);let i=(s.length?s:[""]).map(a=>{let o=document.createElement("input");return Object.assign(o,{type:"hidden",name:this.getAttribute("name"),value:a}),o.disabled=this.isFixed,o});this.replaceChildren(...i);let n=e.find(({isOpen:a})=>a),r=e.find(({state:a})=>a==="failed"),l=this.#e(".drop").hidden?void 0:this.#e("input");if(n){let a=n.state==="paused"?"still-paused":"still-sending",o=h(a,{file:g(n.filename)});this.#o.setValidity({customError:!0},o,l)}else if(r){let a=h("not-uploaded",{file:g(r.filename)});this.#o.setValidity({customError:!0},a,l)}else this.hasAttribute("required")&&!s.length?this.#o.setValidity({valueMissing:!0},h("required"),l):(this.#o.setValidity({}),this.#d&&this.#p(null));t&&this.dispatchEvent(new Event("change",{bubbles:!0}))}get isBusy(){return this.#t.some(({isOpen:t})=>t)}};for(let c of["dragover","drop"])addEventListener(c,t=>{t.defaultPrevented||!t.dataTransfer?.types.includes("Files")||t.target.matches?.("input[type=file]")||(t.preventDefault(),t.dataTransfer.dropEffect="none")});addEventListener("beforeunload",c=>{[...document.querySelectorAll("claimcheck-upload")].some(({isBusy:e})=>e)&&c.preventDefault()});customElements.get("claimcheck-upload")||customElements.define("claimcheck-upload",x);
