/*! Claimcheck 0.1.0, built from clients/js/src/upload-field.js */
var y=document.createElement("template");y.innerHTML=`
  <div class="field" role="group">
    <ul class="files"></ul>
    <p class="taken-out quiet" hidden><span></span> <button type="button" class="undo">Undo</button></p>
    <p class="problem refused" role="alert" hidden></p>
    <label class="drop">
      <input type="file" class="unseen">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 16V6m0 0L8 10m4-4 4 4M5 15v2a3 3 0 0 0 3 3h8a3 3 0 0 0 3-3v-2"/></svg>
      <span><span class="call"></span><span class="pointer"> or drop it here</span></span>
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
        <button type="button" class="up" title="Move up" hidden>↑</button>
        <button type="button" class="down" title="Move down" hidden>↓</button>
        <button type="button" class="pause" hidden>Pause</button>
        <button type="button" class="resume" hidden>Resume</button>
        <a class="sign-in" target="_blank" rel="noopener" hidden>Sign in</a>
        <button type="button" class="retry" hidden>Retry</button>
        <button type="button" class="cancel" hidden>Cancel</button>
        <button type="button" class="dismiss" hidden>Dismiss</button>
        <button type="button" class="replace" hidden>Replace</button>
        <button type="button" class="remove" hidden>Remove</button>
      </p>
    </li>
  </template>
`;var v=new CSSStyleSheet;v.replaceSync(`
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
`);function x(h){let t=h.attachShadow({mode:"open",delegatesFocus:!0});return t.adoptedStyleSheets=[v],t.append(y.content.cloneNode(!0)),t}import{UploadError as w}from"./uploader.js";import{bytes as m,quoted as $}from"./words.js";var A=50<<20,g=112,k={waiting:"Waiting",sending:"",hashing:"Reading",retrying:"Connection lost, trying again",offline:"No connection, going on when it is back",paused:"Paused"},p=class{value=null;state="waiting";#r="";#i={};#t;#l;constructor(t,e){Object.assign(this,{field:t},e),this.item=t.newRow(),this.#s("bdi").textContent=this.filename;for(let u of this.item.querySelectorAll(".actions > *")){this.#i[u.className]=u;let E=u.title||u.textContent;u.setAttribute("aria-label",`${E} ${this.filename}`)}this.#s("progress").setAttribute("aria-label",`Upload of ${this.filename}`);let{up:i,down:s,pause:o,resume:n,retry:r,cancel:a,dismiss:l,replace:c,remove:C}=this.#i;i.onclick=()=>this.#h(-1,i,s),s.onclick=()=>this.#h(1,s,i),o.onclick=()=>this.#l?.pause(),n.onclick=()=>this.#l?.resume(),r.onclick=()=>this.#d(),a.onclick=()=>{this.abandon(),t.dismiss(this),t.say(`${$(this.filename)} is cancelled.`)},l.onclick=()=>t.dismiss(this),c.onclick=()=>t.pick(),C.onclick=()=>t.remove(this),this.#u(),this.show(this.state==="kept"?this.#n:"Waiting")}get isOpen(){return!["kept","stored","failed"].includes(this.state)}get#n(){return this.size===void 0?"":m(Number(this.size))}#s(t){return this.item.querySelector(t)}focus(){([...this.item.querySelectorAll(".actions > :not(.cancel)")].find(({hidden:e,disabled:i})=>!e&&!i)??this.item).focus()}place(t,e){let i=this.field.isList&&e>1&&!this.field.isFixed&&this.value!==null;this.#i.up.hidden=this.#i.down.hidden=!i,this.#i.up.disabled=t===0,this.#i.down.disabled=t===e-1}#h(t,e,i){this.field.move(this,t),(e.disabled?i:e).focus()}async send(t){this.#t=t;let e=s=>this.#o(s),i=this.#l=t.upload(this.file,{onProgress:e});try{let s=await i;this.value=s.id,this.state="stored",this.show(`${this.#n}, uploaded. Save to keep it.`),this.field.uploaded(this)}catch(s){if(s.name==="AbortError")return;if(this.fail(s),!(s instanceof w))throw s}}#o({loaded:t,total:e,state:i}){if(!this.isOpen)return;let s=i!==this.state;this.state=i,this.#s("progress").value=e?t/e:1;let o=`${m(t)} of ${m(e)}`,n=i==="confirming"?"Checking":[k[i],o].filter(Boolean).join(", ");this.show(n),s&&(this.field.changed(),k[i]&&i!=="waiting"&&this.field.say(`${this.filename}: ${n}`))}fail(t){if(!this.isOpen)return;this.state="failed",t.status===401&&!t.signedOut&&(t=new w("The permission to upload has ended","It is given for a while, from when a file is chosen. Press Retry for a new one; the file is then sent from its beginning.",{status:401}),this.#t=null),this.error=t;let e=document.createElement("strong");e.textContent=t.title??"Something went wrong",this.#s(".problem").replaceChildren(e,` ${t.detail??t.message}`),this.show(`Not uploaded, ${this.#n}`),this.field.changed()}#d(){this.state="waiting",this.#l=null,this.#s("progress").value=0,this.show("Waiting"),this.field.changed(),this.#t&&this.error.type!=="upload-session-exhausted"?this.send(this.#t):this.field.start([this])}abandon(){this.isOpen&&this.#l?.cancel(),this.state="failed"}show(t=this.#r){this.#r=t;let{state:e,field:i,error:s}=this,o=this.item.getRootNode().activeElement;this.#s(".state").textContent=t;let n=e==="failed";this.#s(".problem").hidden=!n,this.#s("progress").hidden=!this.isOpen;let r=e==="paused",a={pause:this.isOpen&&!r&&this.#l&&e!=="confirming",resume:r,cancel:this.isOpen,"sign-in":n&&s?.signedOut,retry:n&&s?.retry,dismiss:n,replace:!this.isOpen&&!n&&!i.isList&&!i.isFixed,remove:!this.isOpen&&!n&&!i.isFixed};this.#i["sign-in"].href=i.getAttribute("sign-in")??location.href;for(let[l,c]of Object.entries(a))this.#i[l].hidden=!c;o?.hidden&&this.item.contains(o)&&this.focus()}async#u(){let t=document.createElement("span");t.textContent=(/\.([a-z0-9]{1,4})$/i.exec(this.filename)?.[1]??"file").toLowerCase();let e=this.#s(".thumb");if(e.replaceChildren(t),this.src){let i=new Image;i.alt="",i.onerror=()=>e.replaceChildren(t),i.src=this.src,e.replaceChildren(i)}else if(this.file?.type.startsWith("image/")&&this.file.size<=A)try{let i=await createImageBitmap(this.file),s=Math.min(i.width,i.height),o=[(i.width-s)/2,(i.height-s)/2,s,s],n=document.createElement("canvas");n.width=n.height=g,n.getContext("2d").drawImage(i,...o,0,0,g,g),i.close(),e.replaceChildren(n)}catch{}}};import{Uploader as S,UploadError as f}from"./uploader.js";import{limits as O,quoted as d,refusal as z}from"./words.js";var b=class extends HTMLElement{static formAssociated=!0;#r=this.attachInternals();#i;#t=[];#l=[];#n=null;#s=null;#h=!1;connectedCallback(){if(this.#i)return;this.#i=x(this);let t=[...this.querySelectorAll("input[type=hidden]")].filter(({value:e})=>e);for(let e of t){let{filename:i="File",type:s="",size:o,src:n}=e.dataset;this.#c(new p(this,{value:e.value,filename:i,type:s,size:o,src:n,state:"kept"}))}this.#l=[...this.#t],this.#b(),this.#g(),this.#a(!1)}formResetCallback(){for(let t of[...this.#t])t.isOpen&&t.abandon(),this.#f(t);this.#n=null,this.#m(),this.#p(null);for(let t of this.#l)this.#c(t);this.#a(!1)}formDisabledCallback(){if(this.#i){this.#g();for(let t of this.#t)t.show();this.#a(!1)}}get#o(){return this.hasAttribute("multiple")}get#d(){return this.#o?Number(this.getAttribute("max-files")??1/0):1}get#u(){let t=(this.getAttribute("accept")??"").split(",").map(e=>e.trim());return{accepted:t.includes("*/*")?[]:t.filter(Boolean),maxSize:Number(this.getAttribute("max-size")??1/0)}}get isFixed(){return this.matches(":disabled")}get isList(){return this.#o}#e(t){return this.#i.querySelector(t)}#g(){let t=this.#e("input");t.multiple=this.#o,t.accept=this.getAttribute("accept")??"",t.disabled=this.isFixed,t.ariaRequired=String(this.hasAttribute("required")),this.#e(".call").textContent=this.#o?"Choose files":"Choose a file",this.#e(".pointer").textContent=this.#o?" or drop them here":" or drop it here";let e=O(this.#u);this.#e(".accepts").textContent=e&&e[0].toUpperCase()+e.slice(1);let i=[...this.#r.labels].map(n=>n.textContent.trim()).join(" ");this.#e(".field").setAttribute("aria-label",i||this.getAttribute("name"));let s=(this.getAttribute("aria-describedby")??"").split(" ").filter(Boolean),o=s.map(n=>document.getElementById(n)?.textContent.trim()??"");s.length&&this.#e(".field").setAttribute("aria-description",o.join(" "))}#b(){let t=this.#e("input");t.onchange=()=>{this.choose([...t.files]),t.value=""},this.#e(".undo").onclick=()=>this.#x(),this.addEventListener("invalid",i=>{i.preventDefault(),this.#p(this.#r.validationMessage,!0),this.scrollIntoView({block:"nearest"}),(this.#t.find(s=>s.value===null)??this.#e("input")).focus()}),this.addEventListener("click",i=>{i.composedPath()[0]===this&&!this.#e(".drop").hidden&&this.pick()});let e=i=>this.#e(".field").classList.toggle("over",i);this.addEventListener("dragover",i=>{this.isFixed||!i.dataTransfer.types.includes("Files")||(i.preventDefault(),e(!0))}),this.addEventListener("dragleave",({relatedTarget:i})=>{this.contains(i)||e(!1)}),this.addEventListener("drop",i=>{e(!1),!(this.isFixed||!i.dataTransfer.files.length)&&(i.preventDefault(),this.choose([...i.dataTransfer.files]))})}choose(t){this.#o||(t=t.slice(0,1));let e=this.#o?Math.max(0,this.#d-this.#t.length):1,i=t.length-e,s=[];for(let o of t.slice(0,e)){!this.#o&&this.#t.length&&this.#y(this.#t[0]);let n=new p(this,{file:o,filename:o.name,type:o.type,size:o.size});this.#c(n);let r=z(o,this.#u);r?n.fail(new f(r.title,r.detail,{retry:!1})):s.push(n)}this.#m(),this.start(s),this.#a(),this.#p(i>0?`At most ${this.#d} files can go here; ${i} left out.`:null),s[0]?.focus()}#y(t){t.value!==null?this.#n=t:t.abandon(),this.#f(t)}#p(t,e=!1){this.#e(".refused").hidden=!t,this.#e(".refused").textContent=t??"",this.#h=e}async start(t){if(!t.length)return;let e;try{e=await this.#v()}catch(i){for(let s of t)s.fail(i);return}for(let i of t)i.isOpen&&i.send(e)}async#v(){let t={},[e,i]=["csrf-header","csrf-cookie"].map(a=>this.getAttribute(a)),s=document.cookie.split("; ").find(a=>a.startsWith(`${i}=`));e&&s&&(t[e]=decodeURIComponent(s.slice(i.length+1)));let o,n;try{let a={method:"POST",headers:t,redirect:"manual"};o=await fetch(this.getAttribute("session"),a),n=await o.json()}catch{if(!o){let a="Check the connection and press Retry.";throw new f("This site cannot be reached",a,{status:0})}}if(o.ok&&n?.token){let{token:a,endpoint:l,destination:c}=n;return new S({token:a,endpoint:l,destination:c,storage:null})}if(n?.title)throw new f(n.title,n.detail,{status:o.status});if(!(o.ok||o.type==="opaqueredirect")&&![401,403].includes(o.status)){let a=`It answered with status ${o.status}. Press Retry in a moment.`;throw new f("This site has a problem",a,{status:o.status})}throw new f("You are not signed in any more","Sign in again in another tab, come back here and press Retry. What you have filled in stays.",{status:401,signedOut:!0})}uploaded(t){this.#n=null,this.say(`${d(t.filename)} is uploaded.`),this.#a()}changed(){this.#a(!1)}say(t){this.#e(".said").textContent=t}pick(){this.#e("input").click()}move(t,e){let i=this.#t.indexOf(t),s=i+e;this.#t.splice(i,1),this.#t.splice(s,0,t),this.#e(".files").insertBefore(t.item,this.#t[s+1]?.item??null),this.say(`${d(t.filename)} is number ${s+1} of ${this.#t.length}.`),this.#a()}remove(t){let e=this.#t.indexOf(t);this.#f(t),this.#s={row:t,index:e},this.#e(".taken-out span").textContent=t.state==="kept"?`${d(t.filename)} is taken out when you save. The file itself stays stored.`:`${d(t.filename)} is taken out.`,this.#e(".taken-out").hidden=!1,this.say(this.#e(".taken-out span").textContent),this.#a(),this.#e(".undo").focus()}dismiss(t){let e=this.#t.indexOf(t);this.#f(t),this.#n&&this.#c(this.#n,0),this.#n=null,this.#a(),(this.#t[Math.min(e,this.#t.length-1)]??this.#e("input")).focus()}#x(){let{row:t,index:e}=this.#s;this.#m(),this.#c(t,e),this.#a(),t.focus()}#m(){this.#s=null,this.#e(".taken-out").hidden=!0}#c(t,e=this.#t.length){this.#e(".files").insertBefore(t.item,this.#t[e]?.item??null),this.#t.splice(e,0,t)}#f(t){this.#t=this.#t.filter(e=>e!==t),t.item.remove()}newRow(){return this.#e("template").content.firstElementChild.cloneNode(!0)}#a(t=!0){let e=this.#t;e.forEach((a,l)=>a.place(l,e.length)),this.#e(".drop").hidden=e.length>=this.#d||this.isFixed&&e.length>0;let i=e.map(({value:a})=>a).filter(a=>a!==null);this.#n&&i.push(this.#n.value);let s=(i.length?i:[""]).map(a=>{let l=document.createElement("input");return Object.assign(l,{type:"hidden",name:this.getAttribute("name"),value:a}),l.disabled=this.isFixed,l});this.replaceChildren(...s);let o=e.find(({isOpen:a})=>a),n=e.find(({state:a})=>a==="failed"),r=this.#e(".drop").hidden?void 0:this.#e("input");if(o){let a=o.state==="paused"?"is paused. Resume":"is still being uploaded. Wait for",l=`${d(o.filename)} ${a} it, or cancel it.`;this.#r.setValidity({customError:!0},l,r)}else if(n){let a=`${d(n.filename)} was not uploaded. Try again, or dismiss it.`;this.#r.setValidity({customError:!0},a,r)}else this.hasAttribute("required")&&!i.length?this.#r.setValidity({valueMissing:!0},"Choose a file.",r):(this.#r.setValidity({}),this.#h&&this.#p(null));t&&this.dispatchEvent(new Event("change",{bubbles:!0}))}get isBusy(){return this.#t.some(({isOpen:t})=>t)}};for(let h of["dragover","drop"])addEventListener(h,t=>{t.defaultPrevented||!t.dataTransfer?.types.includes("Files")||t.target.matches?.("input[type=file]")||(t.preventDefault(),t.dataTransfer.dropEffect="none")});addEventListener("beforeunload",h=>{[...document.querySelectorAll("claimcheck-upload")].some(({isBusy:e})=>e)&&h.preventDefault()});customElements.get("claimcheck-upload")||customElements.define("claimcheck-upload",b);
