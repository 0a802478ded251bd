// The dashboard: receipts, requests and faults of the sandbox as they change, and an operator's hand on them.

import { at, attempt, call, element, follow, say, setUpLanguages, showConnection } from "/static/common.js";
import { isError, receiptDetails, receiptRow, requestDetails, requestRow } from "/static/details.js";
import { METHODS, offerAccounts, setUpFaults, showFaults } from "/static/faults.js";
import { List } from "/static/list.js";
import { stateText, text } from "/static/texts.js";

const KEPT_RECEIPTS = 5000;
const KEPT_REQUESTS = 2000;
const DRAW_AFTER_MS = 100;
const STATES = [0, 1, 2, 3, 4, 20, 21, 30, 50];

let server = null;
let faults = [];
let selected = null;
let planned = 0;

const receipts = new List(
  "receipts",
  KEPT_RECEIPTS,
  (one) => one.created_ms,
  (one) => receiptRow(one, () => select("receipt", one.receipt_id), act),
);
const requests = new List(
  "requests",
  KEPT_REQUESTS,
  (one) => one.number,
  (one) => requestRow(one, () => select("request", one.number)),
);

function act(name, receipt) {
  return attempt(async () => {
    const now = await call("POST", `/receipts/${encodeURIComponent(receipt.receipt_id)}`, { do: name });
    receipts.put(now.receipt_id, now);
    plan();
    say(text("dashboard.done", { action: text(`dashboard.${name}`), receipt: now.receipt_id, state: stateText(now.state) }));
  });
}

/** Return an amount as each language writes it, e.g. 15 000,00 or 15,000.00, as 15000.00; any other text as it is. */
const plainAmount = (words) =>
  /^\d{1,3}([\s,]\d{3})+([.,]\d+)?$|^\d+,\d+$/.test(words)
    ? words.replace(/[\s,](?=\d{3}(\D|$))/g, "").replace(",", ".")
    : words;

/** Return whether a row has the text that is looked for; what is searched is built once per row. */
const searched = new WeakMap();
function matches(row, wanted) {
  if (!wanted) return true;
  if (!searched.has(row)) {
    searched.set(row, `${JSON.stringify(row)} ${((row.amount ?? 0) / 100).toFixed(2)}`.toLowerCase());
  }
  const found = searched.get(row);
  return found.includes(wanted) || found.includes(plainAmount(wanted));
}

/** Draw soon: many events at once are one drawing. */
function plan() {
  planned ||= setTimeout(() => draw(), DRAW_AFTER_MS);
}

function draw(isAnew = false) {
  clearTimeout(planned);
  planned = 0;
  const wanted = at("find").value.trim().toLowerCase();
  const [account, state, method] = ["account", "state", "method"].map((id) => at(id).value);
  const isReceiptWanted = (one) =>
    (!account || one.pos_id === account) && (!state || one.state === Number(state)) && matches(one, wanted);
  const isRequestWanted = (one) =>
    (!account || one.pos_id === account) &&
    (!method || one.method === method) &&
    (!at("errors").checked || isError(one)) &&
    matches(one, wanted);
  receipts.show(isReceiptWanted, selected?.kind === "receipt" ? selected.key : null, isAnew);
  requests.show(isRequestWanted, selected?.kind === "request" ? selected.key : null, isAnew);
  showDetails(isAnew);
  showAccounts();
}

function find(wanted) {
  at("find").value = wanted;
  draw();
}

let detailed = null;
function showDetails(isAnew) {
  const row = selected && (selected.kind === "receipt" ? receipts : requests).get(selected.key);
  if (row === detailed && !isAnew) return;
  detailed = row;
  at("details").classList.toggle("open", Boolean(row));
  at("close").hidden = !row;
  if (!row) {
    at("details-title").textContent = text("dashboard.details");
    return at("details-body").replaceChildren(element("p", { class: "soft" }, text("dashboard.details.none")));
  }
  const action = at("details-body").contains(document.activeElement)
    ? document.activeElement.dataset.action
    : undefined;
  const isReceipt = selected.kind === "receipt";
  at("details-title").textContent = isReceipt
    ? text("dashboard.receipt", { id: row.receipt_id })
    : text("dashboard.request", { number: row.number });
  at("details-body").replaceChildren(
    ...(isReceipt ? receiptDetails(row, act, () => find(row.receipt_id)) : requestDetails(row)),
  );
  if (action)
    (at("details-body").querySelector(`[data-action="${action}"]:enabled`) ?? at("details-title")).focus({
      preventScroll: true,
    });
}

function select(kind, key) {
  selected = { kind, key: String(key) };
  draw();
  at("details-title").focus({ preventScroll: true });
  at("details").scrollTop = 0;
}

/** Close the details and go back to the row that they were about. */
function close() {
  if (selected === null) return;
  const list = selected.kind === "receipt" ? receipts : requests;
  const { key } = selected;
  selected = null;
  draw();
  list.drawn.get(key)?.item.querySelector(".pick").focus();
}

function showServer() {
  if (server === null) return;
  at("away-banner").hidden = !server.away;
  at("away").textContent = text(server.away ? "dashboard.back" : "dashboard.away");
  at("away").className = server.away ? "strong" : "";
  at("phone-url").textContent = server.phone_url;
}

function showAccounts() {
  if (server === null) return;
  const counts = new Map();
  for (const one of receipts.rows.values()) counts.set(one.pos_id, (counts.get(one.pos_id) ?? 0) + 1);
  at("accounts").replaceChildren(
    ...server.accounts.map(({ pos_id: posId, name }) =>
      element(
        "li",
        { class: "line" },
        element("div", {}, element("strong", {}, name ?? ""), element("code", {}, posId)),
        element("small", {}, text("dashboard.accounts.count", { count: counts.get(posId) ?? 0 })),
      ),
    ),
  );
}

function fillSelects() {
  const fill = (id, options) => {
    const chosen = at(id).value;
    at(id).replaceChildren(
      ...[["", text("dashboard.all")], ...options].map(([value, shown]) => element("option", { value }, shown)),
    );
    at(id).value = options.some(([value]) => value === chosen) ? chosen : "";
  };
  const accounts = (server?.accounts ?? []).map(({ pos_id: posId, name }) => [
    posId,
    name ? `${name} · ${posId.slice(-6)}` : posId,
  ]);
  fill("account", accounts);
  fill(
    "state",
    STATES.map((state) => [String(state), `${state} · ${stateText(state)}`]),
  );
  fill(
    "method",
    METHODS.map((method) => [method, method]),
  );
}

function useServer(found) {
  server = found;
  fillSelects();
  offerAccounts(server.accounts.map((one) => one.pos_id));
  showServer();
  plan();
}

at("filters").addEventListener("input", plan);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target !== at("find")) close();
});
at("away").addEventListener("click", () =>
  attempt(async () => {
    useServer(await call("POST", "/server", { away: !server.away }));
    say(text(server.away ? "dashboard.is_away" : "dashboard.is_back"));
  }),
);
// Without the library for QR codes there is no such image.
at("phone-qr").addEventListener("load", () => (at("phone-qr").hidden = false));
at("phone-qr").src = "/phone.svg";
setUpFaults();

setUpLanguages(() => {
  document.title = `${text("brand")}: ${text("dashboard.title")}`;
  fillSelects();
  showServer();
  showFaults(faults);
  draw(true);
});

/** At each connection: what was known may be from an earlier run, and the events bring only what is recent. */
function begin() {
  receipts.clear();
  requests.clear();
  plan();
  attempt(async () => {
    receipts.putOlder(await call("GET", `/receipts?limit=${KEPT_RECEIPTS}`), (one) => one.receipt_id);
    requests.putOlder(await call("GET", `/requests?limit=${KEPT_REQUESTS}`), (one) => one.number);
    plan();
  });
}

follow(
  "/events",
  {
    receipt: (one) => {
      receipts.put(one.receipt_id, one);
      plan();
    },
    request: (one) => {
      requests.put(one.number, one);
      plan();
    },
    faults: (rules) => {
      faults = rules;
      showFaults(faults);
    },
    server: useServer,
  },
  begin,
  showConnection,
);
