// The buyer's phone: one wallet of the sandbox, its code, and the payments that tills ask of it.

import {
  at,
  attempt,
  call,
  clockTime,
  dateTime,
  drawn,
  element,
  follow,
  money,
  Refusal,
  say,
  setUpLanguages,
  showConnection,
  tone,
} from "/static/common.js";
import { keep, recall, stateText, text } from "/static/texts.js";

const KEPT_AS = "payme-sandbox-phone";
const CODE_LIFE_MS = 30_000;
const TICK_MS = 250;
const [CREATED, CHECKING, PAID, PAUSED, CANCELLING, CANCELLED] = [0, 1, 4, 20, 21, 50];

const seconds = () => Number(at("seconds").value);
const BEHAVIOURS = [
  { name: "pays", made: () => ({ behaviour: "pays" }) },
  { name: "confirms", needs: "seconds", made: () => ({ behaviour: "confirms", after_s: seconds() }) },
  { name: "declines", needs: "seconds", made: () => ({ behaviour: "declines", after_s: seconds() }) },
  { name: "lacks-funds", made: () => ({ behaviour: "lacks-funds" }) },
  { name: "asks", made: () => ({ behaviour: "never-answers" }) },
  { name: "fails", needs: "error", made: () => ({ behaviour: "fails", error_code: Number(at("error").value) }) },
  { name: "slow", needs: "seconds", made: () => ({ cancel: { settle_s: seconds() } }) },
  { name: "refused", needs: "error", made: () => ({ cancel: { refused_with: Number(at("error").value) } }) },
  { name: "turns-back", needs: "seconds", made: () => ({ cancel: { turns_back_after_s: seconds() } }) },
];

let phone = null;
let arrived = 0;
let chosen = BEHAVIOURS[0];
let expiresAt = 0;
let codeAsked = 0;
let shownId = null;
let known = new Map();
let announced = "";

async function newPhone() {
  phone = await call("POST", "/phones", {});
  keep("sessionStorage", KEPT_AS, phone.phone_id);
}

/** Use the phone of the address, else the one of this tab, else a new one; a phone that is gone is replaced. */
async function findPhone() {
  const asked = new URLSearchParams(location.search).get("phone");
  const id = asked ?? phone?.phone_id ?? recall("sessionStorage", KEPT_AS);
  if (id === null) return newPhone();
  try {
    const before = arrived;
    const found = await call("GET", `/phones/${encodeURIComponent(id)}`);
    if (arrived === before) phone = found; // else an event was newer
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    history.replaceState(null, "", location.pathname);
    await newPhone();
    say(text("phone.gone"));
  }
}

/** Ask for a code. Of several that are asked for in a row only the last one is shown. */
async function newCode() {
  if (!at("behaviour-form").reportValidity()) return;
  const asked = ++codeAsked;
  const askedAt = performance.now();
  const made = await call("POST", `/phones/${encodeURIComponent(phone.phone_id)}/code`, chosen.made());
  if (asked !== codeAsked) return;
  shownId = null;
  known = new Map(phone.receipts.map((one) => [one.receipt_id, one.state]));
  at("frame").hidden = made.svg === null;
  at("qr").replaceChildren(...(made.svg === null ? [] : [drawn(made.svg)]));
  at("digits").replaceChildren(...made.code.match(/.{1,4}/g).map((group) => element("span", {}, group)));
  expiresAt = askedAt + made.left_ms; // an answer that comes late does not make the code last longer
  showPhone();
  tick();
}

function tick() {
  if (expiresAt === 0) return;
  const left = Math.max(0, expiresAt - performance.now());
  const isOver = left === 0;
  at("frame").style.setProperty("--rest", String((100 * left) / CODE_LIFE_MS));
  at("left").textContent = isOver ? text("phone.expired") : text("phone.left", { seconds: Math.ceil(left / 1000) });
  if (at("over").hidden === isOver && !at("code-view").hidden) {
    at("over").hidden = !isOver;
    at("code-view").classList.toggle("is-over", isOver);
    if (isOver) say(text("phone.expired"));
  }
}

/** Return a payment's outcome as a key of the texts and a tone. */
function outcome(receipt) {
  const { state, paid_ms: paidMs, error_code: errorCode } = receipt;
  if (state === CREATED) return [errorCode === null ? "unpaid" : "failed", "bad"];
  if (state === CHECKING) return ["waiting", "busy"];
  if (state === PAID) return ["paid", "good"];
  if (state === PAUSED) return ["paused", "busy"];
  if (state === CANCELLING) return [paidMs ? "returning" : "cancelling", "busy"];
  if (state === CANCELLED) return paidMs ? ["refunded", "plain"] : ["cancelled", "bad"];
  return ["moving", "busy"];
}

const MARKS = { good: "✓", bad: "✕", busy: "…", plain: "↩" };

const outcomeText = (receipt) => text(`phone.outcome.${outcome(receipt)[0]}`, { code: receipt.error_code });

function fact(key, value) {
  return element("div", {}, element("dt", {}, text(key)), element("dd", {}, value));
}

function showPayment(receipt) {
  const [, kind] = outcome(receipt);
  at("payment-view").dataset.tone = kind;
  at("mark").textContent = MARKS[kind];
  at("payment-title").textContent = outcomeText(receipt);
  at("sum").textContent = money(receipt.amount);
  at("merchant").textContent =
    receipt.state === CHECKING ? `${receipt.merchant} ${text("phone.asked")}` : receipt.merchant;
  const moments = ["created", "paid", "cancelled"].filter((name) => receipt[`${name}_ms`]);
  at("times").replaceChildren(
    ...moments.map((name) => fact(`phone.time.${name}`, dateTime(receipt[`${name}_ms`]))),
    ...(receipt.error_code === null ? [] : [fact("phone.code", String(receipt.error_code))]),
    fact("phone.receipt", element("code", {}, receipt.receipt_id)),
  );
  at("answers").hidden = receipt.state !== CHECKING;
  at("again").hidden = receipt.state === CHECKING;
  const said = `${outcomeText(receipt)}, ${receipt.merchant}, ${money(receipt.amount)}`;
  if (said !== announced) {
    announced = said;
    at("outcome").textContent = said;
  }
}

function historyRow(receipt) {
  const [name, kind] = outcome(receipt);
  return element(
    "li",
    {},
    element("span", { class: "who" }, receipt.merchant),
    element("span", { class: "number" }, money(receipt.amount)),
    element(
      "span",
      { class: `chip ${kind}` },
      name === "failed" ? outcomeText(receipt) : `${stateText(receipt.state)} · ${receipt.state}`,
    ),
    element("time", { class: "soft" }, clockTime(receipt.cancelled_ms || receipt.paid_ms || receipt.created_ms)),
  );
}

function showPhone() {
  if (phone === null) return;
  at("card").textContent = phone.card;
  at("balance").textContent = money(phone.balance);
  // A receipt that is new, or that began to move, means that a till has sent the code on the screen.
  const asking = phone.receipts.find(
    (one) => known.get(one.receipt_id) !== one.state && (known.get(one.receipt_id) ?? CREATED) === CREATED,
  );
  const wasShown = shownId;
  if (shownId === null && asking) shownId = asking.receipt_id;
  const receipt = phone.receipts.find((one) => one.receipt_id === shownId);
  at("payment-view").hidden = !receipt;
  for (const id of ["code-view", "behaviour-form"]) at(id).hidden = Boolean(receipt);
  if (receipt) showPayment(receipt);
  else announced = "";
  const lost =
    document.activeElement === null ||
    document.activeElement === document.body ||
    document.activeElement.closest("[hidden]");
  if (wasShown !== shownId && lost) at(receipt ? "payment-view" : "code-view").focus({ preventScroll: true });
  at("history").replaceChildren(...phone.receipts.slice(0, 50).map(historyRow));
  at("history-none").hidden = phone.receipts.length > 0;
}

function choose(behaviour) {
  chosen = behaviour;
  at("seconds-line").hidden = behaviour.needs !== "seconds";
  at("error-line").hidden = behaviour.needs !== "error";
  at("seconds").disabled = behaviour.needs !== "seconds";
  at("error").disabled = behaviour.needs !== "error";
}

for (const behaviour of BEHAVIOURS) {
  const picked = () => {
    choose(behaviour);
    attempt(newCode);
  };
  const input = element("input", {
    type: "radio",
    name: "behaviour",
    value: behaviour.name,
    onchange: picked,
    checked: behaviour === chosen,
  });
  at("behaviours").append(element("label", {}, input, element("span", { "data-text": `phone.${behaviour.name}` })));
}
choose(chosen);

const answer = (confirms) => () =>
  attempt(async () => {
    const document = { receipt_id: shownId, confirms };
    const { waited } = await call("POST", `/phones/${encodeURIComponent(phone.phone_id)}/answer`, document);
    if (!waited) say(text("phone.missed"), true);
  });
at("pay").addEventListener("click", answer(true));
at("decline").addEventListener("click", answer(false));
// A browser offers the clipboard only to this machine's own pages and to https.
at("copy").hidden = !navigator.clipboard;
at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(at("digits").textContent);
    say(text("phone.copied"));
  } catch {
    say(text("phone.not_copied"), true); // the browser may refuse it
  }
});
for (const id of ["renew", "again"]) at(id).addEventListener("click", () => attempt(newCode));
for (const id of ["seconds", "error"]) at(id).addEventListener("change", () => attempt(newCode));
at("behaviour-form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(newCode);
});

setUpLanguages(() => {
  document.title = `${text("brand")}: ${text("phone.title")}`;
  showPhone();
  tick();
});
setInterval(tick, TICK_MS);

/** At each connection: take up the phone where the sandbox has it. A new page shows what waits, else a new code. */
async function begin() {
  const before = phone?.phone_id;
  await findPhone();
  const waiting = phone.receipts.find((one) => one.state === CHECKING);
  if (phone.phone_id === before) return showPhone();
  if (!waiting) return newCode();
  shownId = waiting.receipt_id;
  showPhone();
}

follow(
  "/events",
  {
    phone: (found) => {
      if (found.phone_id !== phone?.phone_id) return;
      arrived++;
      phone = found;
      showPhone();
    },
  },
  () => attempt(begin),
  showConnection,
);
