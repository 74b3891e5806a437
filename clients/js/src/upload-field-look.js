/** Markup and style of <claimcheck-upload>. A constructed style sheet passes every style-src. */

import { language, sayIn } from "./words.js";

const template = document.createElement("template");
template.innerHTML = `
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
`;

/* Everything is made of the page's own text colour and one accent, so that it suits light pages and
   dark ones; a page may set --claimcheck-accent, --claimcheck-danger and --claimcheck-radius. The
   intrinsic size is its width where contents decide, as in a flex box: a container's have none. */
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
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
`);

/** Attach the element's shadow tree, in the language chosen; its last element is the row's template. */
export function dress(host) {
  const root = host.attachShadow({ mode: "open", delegatesFocus: true });
  root.adoptedStyleSheets = [sheet];
  root.append(template.content.cloneNode(true));
  root.firstElementChild.lang = language().lang;
  root.firstElementChild.dir = language().dir;
  sayIn(root);
  return root;
}
