/*! Claimcheck 0.1.0, built from clients/js/src/upload-field.js */
import{language as x,sayIn as q}from"./words.js";var k=document.createElement("template");k.innerHTML=`
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
`;var w=new CSSStyleSheet;w.replaceSync(`
  :host {
    --accent: var(--claimcheck-accent, var(--tblr-primary, #0f766e));
    --danger: var(--claimcheck-danger, #d63939);
    --radius: var(--claimcheck-radius, var(--tblr-border-radius, 8px));
    --line: color-mix(in srgb, currentColor 22%, transparent);
    --tint: color-mix(in srgb, currentColor 5%, transparent);
    display: block;
    container-type: inline-size;
    contain-intrinsic-inline-size: 30rem;
    min-inline-size: 0;
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
`);function C(l){let t=l.attachShadow({mode:"open",delegatesFocus:!0});return t.adoptedStyleSheets=[w],t.append(k.content.cloneNode(!0)),t.firstElementChild.lang=x().lang,t.firstElementChild.dir=x().dir,q(t),t}import{badge as S,picture as L}from"./thumbnail.js";import{UploadError as A}from"./uploader.js";import{bytes as y,failure as j,listed as v,quoted as E,say as h,told as F}from"./words.js";function f(l,t){let{title:e,detail:i,lang:s}=F(l,t);return new A(e,i,{...t,lang:s})}var p=class{value=null;state="waiting";#n="";#i={};#t;#l;constructor(t,e){Object.assign(this,{field:t},e),this.item=t.newRow(),this.#s("bdi").textContent=this.filename;for(let u of this.item.querySelectorAll(".actions > *")){this.#i[u.className]=u;let z=u.title||u.textContent;u.setAttribute("aria-label",h("does",{does:z,file:this.filename}))}this.#s("progress").setAttribute("aria-label",h("upload-of",{file:this.filename}));let{up:i,down:s,pause:r,resume:n,retry:o,cancel:a,dismiss:d,replace:b,remove:O}=this.#i;i.onclick=()=>this.#d(-1,i,s),s.onclick=()=>this.#d(1,s,i),r.onclick=()=>this.#l?.pause(),n.onclick=()=>this.#l?.resume(),o.onclick=()=>this.#a(),a.onclick=()=>{this.abandon(),t.dismiss(this),t.say(h("is-cancelled",{file:E(this.filename)}))},d.onclick=()=>t.dismiss(this),b.onclick=()=>t.pick(),O.onclick=()=>t.remove(this),this.#h(),this.show(this.state==="kept"?this.#r:h("waiting"))}get isOpen(){return!["kept","stored","failed"].includes(this.state)}get#r(){return this.size===void 0?"":y(Number(this.size))}#s(t){return this.item.querySelector(t)}focus(){([...this.item.querySelectorAll(".actions > :not(.cancel)")].find(({hidden:e,disabled:i})=>!e&&!i)??this.item).focus()}place(t,e){let i=this.field.isList&&e>1&&!this.field.isFixed&&this.value!==null;this.#i.up.hidden=this.#i.down.hidden=!i,this.#i.up.disabled=t===0,this.#i.down.disabled=t===e-1}#d(t,e,i){this.field.move(this,t),(e.disabled?i:e).focus()}async send(t){this.#t=t;let e=s=>this.#u(s),i=this.#l=t.upload(this.file,{onProgress:e});try{let s=await i;this.value=s.id,this.state="stored",this.show(v([this.#r,this.field.matches("form *, [form]")&&h("uploaded-save")])),this.field.uploaded(this)}catch(s){if(s.name==="AbortError")return;if(this.fail(s),!(s instanceof A))throw s}}#u({loaded:t,total:e,state:i}){if(!this.isOpen)return;let s=i!==this.state;this.state=i,this.#s("progress").value=e?t/e:1;let r=i!=="confirming"&&h("part-of",{loaded:y(t),total:y(e)}),n=v([i!=="sending"&&h(i),r]);this.show(n),s&&(this.field.changed(),["waiting","sending","confirming"].includes(i)||this.field.say(`${E(this.filename)}: ${n}`))}fail(t){if(!this.isOpen)return;this.state="failed",t.status===401&&!t.signedOut&&(t=f("session-over",{status:401}),this.#t=null),this.error=t;let{title:e,detail:i,lang:s}=j(t),r=document.createElement("strong");r.textContent=e,this.#s(".problem").lang=s,this.#s(".problem").replaceChildren(r,` ${i}`),this.show(v([h("not-sent"),this.#r])),this.field.changed()}#a(){this.state="waiting",this.#l=null,this.#s("progress").value=0,this.show(h("waiting")),this.field.changed(),this.#t&&this.error.type!=="upload-session-exhausted"?this.send(this.#t):this.field.start([this])}abandon(){this.isOpen&&this.#l?.cancel(),this.state="failed"}show(t=this.#n){this.#n=t;let{state:e,field:i,error:s}=this,r=this.item.getRootNode().activeElement;this.#s(".state").textContent=t;let n=e==="failed";this.#s(".problem").hidden=!n,this.#s("progress").hidden=!this.isOpen;let o=e==="paused",a={pause:this.isOpen&&!o&&this.#l&&e!=="confirming",resume:o,cancel:this.isOpen,"sign-in":n&&s?.signedOut,retry:n&&s?.retry,dismiss:n,replace:!this.isOpen&&!n&&!i.isList&&!i.isFixed,remove:!this.isOpen&&!n&&!i.isFixed};this.#i["sign-in"].href=i.getAttribute("sign-in")??location.href;for(let[d,b]of Object.entries(a))this.#i[d].hidden=!b;r?.hidden&&this.item.contains(r)&&this.focus()}async#h(){let t=S(this.filename,h("nameless").toLowerCase()),e=this.#s(".thumb");if(e.replaceChildren(t),this.src){let i=new Image;i.alt="",i.onerror=()=>e.replaceChildren(t),i.src=this.src,e.replaceChildren(i)}else this.file&&e.replaceChildren(await L(this.file)??t)}};import{Uploader as I,UploadError as T}from"./uploader.js";import{limits as V,quoted as m,refusal as B,say as c,speak as M}from"./words.js";var g=class extends HTMLElement{static formAssociated=!0;#n=this.attachInternals();#i;#t=[];#l=[];#r=null;#s=null;#d=!1;connectedCallback(){let t=this.closest("[lang]")?.lang,e=M([...t?[t]:[],...navigator.languages]);e?e.then(()=>this.isConnected&&this.#u()):this.#u()}#u(){if(this.#i)return;this.#i=C(this);let t=[...this.querySelectorAll("input[type=hidden]")].filter(({value:e})=>e);for(let e of t){let{filename:i=c("nameless"),type:s="",size:r,src:n}=e.dataset;this.#c(new p(this,{value:e.value,filename:i,type:s,size:r,src:n,state:"kept"}))}this.#l=[...this.#t],this.#y(),this.#b(),this.#o(!1)}formResetCallback(){if(this.#i){for(let t of[...this.#t])t.isOpen&&t.abandon(),this.#f(t);this.#r=null,this.#m(),this.#p(null);for(let t of this.#l)this.#c(t);this.#o(!1)}}formDisabledCallback(){if(this.#i){this.#b();for(let t of this.#t)t.show();this.#o(!1)}}get#a(){return this.hasAttribute("multiple")}get#h(){return this.#a?Number(this.getAttribute("max-files")??1/0):1}get#g(){let t=(this.getAttribute("accept")??"").split(",").map(e=>e.trim());return{accepted:t.includes("*/*")?[]:t.filter(Boolean),maxSize:Number(this.getAttribute("max-size")??1/0)}}get isFixed(){return this.matches(":disabled")}get isList(){return this.#a}#e(t){return this.#i.querySelector(t)}#b(){let t=this.#e("input");t.multiple=this.#a,t.accept=this.getAttribute("accept")??"",t.disabled=this.isFixed,t.ariaRequired=String(this.hasAttribute("required")),this.#e(".call").textContent=c(this.#a?"choose-files":"choose-file"),this.#e(".pointer").textContent=c(this.#a?"or-drop-them":"or-drop-it");let e=V(this.#g);this.#e(".accepts").textContent=e&&e[0].toUpperCase()+e.slice(1);let i=[...this.#n.labels].map(n=>n.textContent.trim()).join(" ");this.#e(".field").setAttribute("aria-label",i||this.getAttribute("name"));let s=(this.getAttribute("aria-describedby")??"").split(" ").filter(Boolean),r=s.map(n=>document.getElementById(n)?.textContent.trim()??"");s.length&&this.#e(".field").setAttribute("aria-description",r.join(" "))}#y(){let t=this.#e("input");t.onchange=()=>{this.choose([...t.files]),t.value=""},this.#e(".undo").onclick=()=>this.#w(),this.addEventListener("invalid",i=>{i.preventDefault(),this.#p(this.#n.validationMessage,!0),this.scrollIntoView({block:"nearest"}),(this.#t.find(s=>s.value===null)??this.#e("input")).focus()}),this.addEventListener("click",i=>{i.composedPath()[0]===this&&!this.#e(".drop").hidden&&this.pick()});let e=i=>this.#e(".field").classList.toggle("over",i);this.addEventListener("dragover",i=>{this.isFixed||!i.dataTransfer.types.includes("Files")||(i.preventDefault(),e(!0))}),this.addEventListener("dragleave",({relatedTarget:i})=>{this.contains(i)||e(!1)}),this.addEventListener("drop",i=>{e(!1),!(this.isFixed||!i.dataTransfer.files.length)&&(i.preventDefault(),this.choose([...i.dataTransfer.files]))})}choose(t){this.#a||(t=t.slice(0,1));let e=this.#a?Math.max(0,this.#h-this.#t.length):1,i=t.length-e,s=[];for(let r of t.slice(0,e)){!this.#a&&this.#t.length&&this.#v(this.#t[0]);let n=new p(this,{file:r,filename:r.name,type:r.type,size:r.size});this.#c(n);let o=B(r,this.#g);o?n.fail({...o,retry:!1}):s.push(n)}this.#m(),this.start(s),this.#o(),this.#p(i>0?c("at-most",{count:this.#h,left:i}):null),s[0]?.focus()}#v(t){t.value!==null?this.#r=t:t.abandon(),this.#f(t)}#p(t,e=!1){this.#e(".refused").hidden=!t,this.#e(".refused").textContent=t??"",this.#d=e}async start(t){if(!t.length)return;let e;try{e=await this.#x()}catch(i){for(let s of t)s.fail(i);return}for(let i of t)i.isOpen&&i.send(e)}async#x(){let t,e;try{let s={method:"POST",headers:this.#k(),redirect:"manual"};t=await fetch(this.getAttribute("session"),s),e=await t.json()}catch{if(!t)throw f("site-unreachable",{status:0})}if(t.ok&&e?.token){let{token:s,endpoint:r,destination:n,resumable:o}=e,a=o?void 0:null;return new I({token:s,endpoint:r,destination:n,storage:a})}if(e?.title&&t.status!==401){let{lang:s}=document.documentElement;throw new T(e.title,e.detail,{status:t.status,lang:s})}throw!(t.ok||t.type==="opaqueredirect")&&![401,403].includes(t.status)?f("site-failed",{status:t.status}):f("signed-out",{status:401,signedOut:!0})}#k(){let t=["csrf-header","csrf-cookie","csrf-input"],[e,i,s]=t.map(a=>this.getAttribute(a)),r=document.cookie.split("; ").find(a=>a.startsWith(`${i}=`)),n=s&&this.#n.form?.elements.namedItem(s),o=r?decodeURIComponent(r.slice(i.length+1)):n?.value;return n&&o&&(n.value=o),e&&o?{[e]:o}:{}}uploaded(t){this.#r=null,this.say(c("is-uploaded",{file:m(t.filename)})),this.#o()}changed(){this.#o(!1)}say(t){this.#e(".said").textContent=t}pick(){this.#e("input").click()}move(t,e){let i=this.#t.indexOf(t),s=i+e;this.#t.splice(i,1),this.#t.splice(s,0,t),this.#e(".files").insertBefore(t.item,this.#t[s+1]?.item??null),this.say(c("moved",{file:m(t.filename),place:s+1,count:this.#t.length})),this.#o()}remove(t){let e=this.#t.indexOf(t);this.#f(t),this.#s={row:t,index:e};let i=this.hasAttribute("deletes")?"taken-out-deleted":"taken-out-kept",s=t.state==="kept"?i:"taken-out";this.#e(".taken-out span").textContent=c(s,{file:m(t.filename)}),this.#e(".taken-out").hidden=!1,this.say(this.#e(".taken-out span").textContent),this.#o(),this.#e(".undo").focus()}dismiss(t){let e=this.#t.indexOf(t);this.#f(t),this.#r&&this.#c(this.#r,0),this.#r=null,this.#o(),(this.#t[Math.min(e,this.#t.length-1)]??this.#e("input")).focus()}#w(){let{row:t,index:e}=this.#s;this.#m(),this.#c(t,e),this.#o(),t.focus()}#m(){this.#s=null,this.#e(".taken-out").hidden=!0}#c(t,e=this.#t.length){this.#e(".files").insertBefore(t.item,this.#t[e]?.item??null),this.#t.splice(e,0,t)}#f(t){this.#t=this.#t.filter(e=>e!==t),t.item.remove()}newRow(){return this.#e("template").content.firstElementChild.cloneNode(!0)}#o(t=!0){let e=this.#t;e.forEach((a,d)=>a.place(d,e.length)),this.#e(".drop").hidden=e.length>=this.#h||this.isFixed&&e.length>0;let i=e.map(({value:a})=>a).filter(a=>a!==null);this.#r&&i.push(this.#r.value);let s=(i.length?i:[""]).map(a=>{let d=document.createElement("input");return Object.assign(d,{type:"hidden",name:this.getAttribute("name"),value:a}),d.disabled=this.isFixed,d});this.replaceChildren(...s);let r=e.find(({isOpen:a})=>a),n=e.find(({state:a})=>a==="failed"),o=this.#e(".drop").hidden?void 0:this.#e("input");if(r){let a=r.state==="paused"?"still-paused":"still-sending",d=c(a,{file:m(r.filename)});this.#n.setValidity({customError:!0},d,o)}else if(n){let a=c("not-uploaded",{file:m(n.filename)});this.#n.setValidity({customError:!0},a,o)}else this.hasAttribute("required")&&!i.length?this.#n.setValidity({valueMissing:!0},c("required"),o):(this.#n.setValidity({}),this.#d&&this.#p(null));t&&this.dispatchEvent(new Event("change",{bubbles:!0}))}get isBusy(){return this.#t.some(({isOpen:t})=>t)}complains(){return this.#n.validity.customError&&!this.#n.reportValidity()}};for(let l of["dragover","drop"])addEventListener(l,t=>{t.defaultPrevented||!t.dataTransfer?.types.includes("Files")||t.target.matches?.("input[type=file]")||(t.preventDefault(),t.dataTransfer.dropEffect="none")});addEventListener("submit",l=>{let{target:t,submitter:e}=l;!t.noValidate||e?.formNoValidate||![...t.elements].filter(s=>s instanceof g).some(s=>s.complains())||(l.preventDefault(),l.stopImmediatePropagation())},{capture:!0});addEventListener("beforeunload",l=>{[...document.querySelectorAll("claimcheck-upload")].some(({isBusy:e})=>e)&&l.preventDefault()});customElements.get("claimcheck-upload")||customElements.define("claimcheck-upload",g);
