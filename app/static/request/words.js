/** Texts of the page `/r`, by name. Those with `count` have a form for each plural category. */

const TEXTS = {
  "request-heading": "Send files",
  "request-name": "Your name (optional)",
  "request-email": "Your e-mail address (optional)",
  "request-email-wrong": "This is no e-mail address.",
  "request-choose": "Choose files",
  "request-drop": ", drop or paste them here",
  "request-again": "Try again",
  "request-under-way": "On their way",
  "request-sent": "You have sent",
  "request-remembered": "Only this browser shows what you have sent.",
  "request-pause": "Pause",
  "request-resume": "Resume",
  "request-cancel": "Cancel",
  "request-retry": "Retry",
  "request-dismiss": "Dismiss",
  "request-does": "{does} {file}",
  "request-upload-of": "Upload of {file}",
  "request-incomplete": "This link is not complete. Open it once more as it was sent to you.",
  "request-ended": "This link has ended. Ask whoever sent it to you for a new one.",
  "request-takes": "Takes {limits} each.",
  "request-takes-any": "Takes any file, {limits} each.",
  "request-left": {
    one: "{count} more file, {size} in all, until {end}.",
    other: "{count} more files, {size} in all, until {end}.",
  },
  "request-full": "No more files can be sent by this link. What you have begun goes on.",
  "request-too-many": "Too many files",
  "request-too-many-detail": {
    one: "{count} more file can be sent by this link.",
    other: "{count} more files can be sent by this link.",
  },
  "request-waiting": "Waiting, {total}",
  "request-hashing": "Reading, {loaded} of {total}",
  "request-sending": "{loaded} of {total}",
  "request-retrying": "Connection lost, trying again, {loaded} of {total}",
  "request-offline": "No connection, going on when it is back, {loaded} of {total}",
  "request-paused": "Paused, {loaded} of {total}",
  "request-confirming": "Checking, {total}",
  "request-not-sent": "Not sent, {total}",
  "request-wrong": "Something went wrong",
  "request-arrived": "{size}, arrived {time}",
  "request-unfinished": "{size}, not finished. Choose the same file again to go on.",
  "request-checking": "{size}, being checked",
  "request-rejected": "{size}, not accepted: {reason}",
};

/** The text of that name, with these values. */
export function say(name, values = {}) {
  const found = TEXTS[name];
  const text =
    typeof found === "string" ? found : found[new Intl.PluralRules("en").select(values.count)];
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Put texts into a tree: `data-say` names an element's text, `data-say-label` its aria-label. */
export function sayIn(root) {
  for (const { content } of root.querySelectorAll("template")) sayIn(content);
  for (const one of root.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of root.querySelectorAll("[data-say-label]")) {
    one.ariaLabel = say(one.dataset.sayLabel);
  }
}
