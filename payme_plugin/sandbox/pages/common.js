// What both pages share: calls of the control API, live events, elements, formats, the language switch.

import { LANGUAGES, currentLanguage, text, translate, useKeptLanguage, useLanguage } from "/static/texts.js";

const API = "/sandbox/v1";
const RETRY_MS = 1000;
// Browsers lack the formats of Uzbek: numbers and dates are written as in Russian.
const LOCALES = { en: "en-GB", ru: "ru-RU", uz: "ru-RU" };

export const at = (id) => document.getElementById(id);

/** A refusal by the sandbox, with its reason. */
export class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** Call the control API and return its answer. A refusal is a Refusal; no answer at all is a TypeError of fetch. */
export async function call(method, path, document) {
  const body = document === undefined ? undefined : JSON.stringify(document);
  const answer = await fetch(API + path, { method, body, cache: "no-store" });
  const found = await answer.json();
  if (answer.ok) return found;
  const { code, message, data } = found.error;
  const said = typeof message === "string" ? message : message[currentLanguage()];
  throw new Refusal(answer.status, data ? `${said} (${code}): ${data}` : `${said} (${code})`);
}

/**
 * Follow the sandbox's events, for as long as the page is visible, and connect again whenever the connection breaks.
 *
 * `begin` is called at each connection, before the events that bring the present state. A browser opens only six
 * connections to a server, so a hidden tab gives its own back.
 */
export function follow(path, handlers, begin, show) {
  let source = null;
  let retry = 0;
  const open = () => {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(API + path);
    source.onopen = () => {
      show("live");
      begin();
    };
    source.onerror = () => {
      show("reconnecting");
      // The browser's own retry gives up after an answer that is not a stream of events.
      source.close();
      retry = setTimeout(open, RETRY_MS);
    };
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
    }
  };
  const changed = () => {
    if (!document.hidden) return open();
    clearTimeout(retry);
    source?.close();
    show("connecting");
  };
  document.addEventListener("visibilitychange", changed);
  show("connecting");
  changed();
}

/** Show the state of the connection in the header. */
export function showConnection(state) {
  at("live").dataset.state = state;
  at("live").dataset.text = state;
  at("live").textContent = text(state);
}

/** Return a new element: its properties, then its children; a text is never read as HTML. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") made.toggleAttribute(key, value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Return the element of an SVG that the sandbox drew; it is written as in HTML, without a namespace. */
export function drawn(svg) {
  return document.importNode(new DOMParser().parseFromString(svg, "text/html").querySelector("svg"), true);
}

/** Say an outcome to everyone: on the screen, and to a screen reader. */
export function say(words, isError = false) {
  const toast = at("said");
  toast.textContent = words;
  toast.className = isError ? "toast bad" : "toast";
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.textContent = ""), isError ? 10_000 : 5_000);
}

/** Run what a click asks for; say why if the sandbox can't do it. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof TypeError)) throw error;
    say(error instanceof Refusal ? error.message : text("unreachable"), true);
  }
}

const format = (options) => new Intl.DateTimeFormat(LOCALES[currentLanguage()], options);

export function money(tiyin) {
  const options = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `${new Intl.NumberFormat(LOCALES[currentLanguage()], options).format(tiyin / 100)} ${text("currency")}`;
}

export const clockTime = (ms) => format({ timeStyle: "medium" }).format(ms);
export const exactTime = (ms) =>
  format({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }).format(ms);
export const dateTime = (ms) => format({ dateStyle: "short", timeStyle: "medium" }).format(ms);

/** Return which colour a state has: good, bad, busy or plain. */
export function tone(state) {
  if (state === 4) return "good";
  if (state === 50) return "bad";
  return state === 0 ? "plain" : "busy";
}

/** Put the page into its language and let the header's switch change it; `changed` redraws what is not static. */
export function setUpLanguages(changed) {
  const use = (chosen) => {
    for (const one of at("languages").children) one.setAttribute("aria-pressed", String(one.lang === chosen));
    translate();
    changed();
  };
  for (const code of LANGUAGES) {
    const chosen = () => {
      useLanguage(code);
      use(code);
    };
    at("languages").append(element("button", { type: "button", lang: code, onclick: chosen }, code.toUpperCase()));
  }
  useKeptLanguage();
  use(currentLanguage());
}
