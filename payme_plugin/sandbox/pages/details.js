// What the dashboard shows of one receipt or one request.

import { clockTime, dateTime, element, exactTime, money, tone } from "/static/common.js";
import { stateText, text } from "/static/texts.js";

const [CREATED, CHECKING, CANCELLING, CANCELLED] = [0, 1, 21, 50];

/** The actions on a receipt by the name that the control API has for them, and the states that allow them. */
const ACTIONS = {
  confirm: (state) => state === CHECKING,
  decline: (state) => state === CHECKING,
  pay: (state) => state === CREATED || state === CHECKING,
  cancel: (state) => state !== CANCELLING && state !== CANCELLED,
};
/** What a row offers by its state: the two that are meant most often. */
const QUICK = { [CREATED]: ["pay", "cancel"], [CHECKING]: ["confirm", "decline"] };

export const chip = (state) => element("span", { class: `chip ${tone(state)}` }, `${stateText(state)} · ${state}`);

const json = (document) => element("pre", { tabindex: "0" }, JSON.stringify(document, null, 2));
const fact = (label, ...value) => element("div", {}, element("dt", {}, label), element("dd", {}, ...value));
const moment = (key, ms) => (ms ? fact(text(key), dateTime(ms)) : null);
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export const accountText = (account) =>
  Object.entries(account)
    .map(([name, value]) => `${name} ${plain(value)}`)
    .join(", ");

export function quickActions(receipt, act) {
  const offered = QUICK[receipt.state] ?? (ACTIONS.cancel(receipt.state) ? ["cancel"] : []);
  return offered.map((name) => {
    const button = actionButton(name, receipt, act, text(`dashboard.row.${name}`));
    button.setAttribute("aria-label", `${text(`dashboard.${name}`)}: ${receipt.receipt_id}`);
    return button;
  });
}

function actionButton(name, receipt, act, words) {
  const onclick = () => act(name, receipt);
  const look = { confirm: "strong", cancel: "danger" }[name] ?? "";
  const button = element("button", { type: "button", class: `small ${look}`, "data-action": name, onclick }, words);
  button.disabled = !ACTIONS[name](receipt.state);
  return button;
}

function step({ at_ms: atMs, state }) {
  return element(
    "li",
    { "data-tone": tone(state) },
    element("time", { class: "number" }, exactTime(atMs)),
    element("span", {}, stateText(state)),
    element("code", {}, String(state)),
  );
}

/** `act` acts on the receipt, `only` leaves nothing else on the dashboard but its requests. */
export function receiptDetails(receipt, act, only) {
  return [
    element(
      "p",
      { class: "line" },
      element("strong", { class: "sum number" }, money(receipt.amount)),
      chip(receipt.state),
    ),
    element(
      "div",
      { class: "actions" },
      ...Object.keys(ACTIONS).map((name) => actionButton(name, receipt, act, text(`dashboard.${name}`))),
    ),
    element(
      "dl",
      { class: "facts" },
      fact(text("dashboard.account"), element("code", {}, receipt.pos_id)),
      ...Object.entries(receipt.account).map(([name, value]) => fact(element("code", {}, name), plain(value))),
      receipt.description ? fact(text("dashboard.description"), receipt.description) : null,
      fact(text("dashboard.held"), money(receipt.held)),
      moment("dashboard.created", receipt.created_ms),
      moment("dashboard.paid", receipt.paid_ms),
      moment("dashboard.cancelled", receipt.cancelled_ms),
    ),
    element("button", { type: "button", class: "small", onclick: only }, text("dashboard.only")),
    element("h3", {}, text("dashboard.timeline")),
    element("ol", { class: "timeline" }, ...receipt.steps.map(step)),
    ...(receipt.fiscal_data ? [element("h3", {}, text("dashboard.fiscal")), json(receipt.fiscal_data)] : []),
    ...(receipt.detail ? [element("h3", {}, "detail"), json(receipt.detail)] : []),
  ];
}

/** Return how a request ended as words and a tone. */
export function requestOutcome({ answer, status, took_ms: tookMs }) {
  if (tookMs === null) return [text("dashboard.running"), "busy"];
  if (status === null) return [text("dashboard.silent"), "bad"];
  if (status !== 200 || answer === null) return [`HTTP ${status}`, "bad"];
  if (answer.error) return [text("dashboard.error", { code: answer.error.code }), "bad"];
  const state = answer.result?.receipt?.state ?? answer.result?.state;
  return state === undefined ? [text("dashboard.ok"), "good"] : [`${stateText(state)} · ${state}`, tone(state)];
}

/** Return whether a request was refused, got a fault, or got no result. */
export function isError({ authorised, fault, answer, took_ms: tookMs }) {
  return !authorised || fault !== null || (tookMs !== null && answer?.result === undefined);
}

export function requestDetails(request) {
  const { request_id: id, method, params, pos_id: posId, authorised, fault, answer, status, took_ms: tookMs } = request;
  const [ended, kind] = requestOutcome(request);
  return [
    element(
      "p",
      { class: "line" },
      element("strong", {}, method || "?"),
      element("span", { class: `chip ${kind}` }, ended),
    ),
    element(
      "dl",
      { class: "facts" },
      fact(
        text("dashboard.account"),
        element("code", {}, `${posId ?? "?"}:***`),
        ` ${text(authorised ? "dashboard.key.right" : "dashboard.key.wrong")}`,
      ),
      moment("dashboard.received", request.at_ms),
      tookMs === null ? null : fact(text("dashboard.took"), text("dashboard.ms", { ms: tookMs })),
      fact(text("dashboard.connection"), String(request.connection)),
      status === null ? null : fact("HTTP", String(status)),
      fault === null ? null : fact(text("dashboard.fault"), element("span", { class: "chip busy" }, fault)),
    ),
    element("h3", {}, text("dashboard.asked")),
    json({ id, method, params }),
    element("h3", {}, text("dashboard.answered")),
    answer === null ? element("p", { class: "soft" }, text("dashboard.no_answer")) : json(answer),
  ];
}

export function receiptRow(receipt, pick, act) {
  const face = element(
    "button",
    { type: "button", class: "pick", onclick: pick },
    element("span", { class: "when number" }, clockTime(receipt.created_ms)),
    element(
      "span",
      { class: "what" },
      element("strong", {}, accountText(receipt.account) || receipt.description || "…"),
      element("small", {}, receipt.receipt_id),
    ),
    element("span", { class: "how number" }, money(receipt.amount)),
    chip(receipt.state),
  );
  return [face, element("span", { class: "quick" }, ...quickActions(receipt, act))];
}

export function requestRow(request, pick) {
  const [ended, kind] = requestOutcome(request);
  const about = [request.params.id ?? request.pos_id].filter((one) => one != null).map(plain);
  return [
    element(
      "button",
      { type: "button", class: "pick", onclick: pick },
      element("span", { class: "when number" }, clockTime(request.at_ms)),
      element(
        "span",
        { class: "what" },
        element("strong", {}, request.method || "?"),
        element("small", {}, [`#${request.number}`, ...about].join(" · ")),
      ),
      element(
        "span",
        { class: "how number soft" },
        request.took_ms === null ? "" : text("dashboard.ms", { ms: request.took_ms }),
      ),
      element(
        "span",
        { class: "chips" },
        request.fault === null ? null : element("span", { class: "chip busy" }, request.fault),
        element("span", { class: `chip ${kind}` }, ended),
      ),
    ),
  ];
}
