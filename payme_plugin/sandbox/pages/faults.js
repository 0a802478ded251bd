// The dashboard's faults: the rules in force, and the form that adds one. docs/sandbox.md describes kinds and selectors.

import { at, attempt, call, element, money, say } from "/static/common.js";
import { text } from "/static/texts.js";

const KINDS = [
  "request-lost",
  "answer-lost",
  "silent",
  "silent-after-effect",
  "request-delayed",
  "answer-delayed",
  "slow-answer",
  "error",
  "error-after-effect",
  "http-error",
  "http-error-after-effect",
  "html",
  "html-after-effect",
  "malformed",
  "malformed-after-effect",
  "truncated",
  "without-id",
  "foreign-id",
  "foreign-receipt",
  "duplicate-answer",
  "stuck",
];
export const METHODS = ["create", "pay", "check", "get", "cancel", "get_all", "set_fiscal_data"].map(
  (one) => `receipts.${one}`,
);
const DELAYS = ["request-delayed", "answer-delayed", "slow-answer"];

const number = (name, value, limits, only) => ({
  name,
  value,
  only,
  type: "number",
  limits: { ...limits, required: Boolean(only) },
});
const FIELDS = [
  number("after_s", 3, { min: 0, max: 86_400, step: "any" }, DELAYS),
  number("error_code", -32400, { max: -1 }, ["error", "error-after-effect"]),
  number("status", 500, { min: 300, max: 599 }, ["http-error", "http-error-after-effect"]),
  number("times", 1, { min: 1 }),
  number("skip", 0, { min: 0 }),
  number("probability", 1, { min: 0, max: 1, step: "any" }),
];
const SELECTORS = [
  { name: "code", type: "text", limits: { pattern: "[0-9]{1,20}", inputmode: "numeric", maxlength: 20 } },
  number("amount_min", "", { min: 1 }),
  number("amount_max", "", { min: 1 }),
  { name: "header", type: "text", limits: {} },
  { name: "header_value", type: "text", limits: {} },
];

const labelled = (name, control) =>
  element("label", { "data-field": name }, element("span", { "data-text": `fault.${name}` }), control);
const choice = (name, options) =>
  labelled(name, element("select", { name }, ...options.map(([value, shown]) => element("option", { value }, shown))));
const entry = ({ name, type, value = "", limits }) =>
  labelled(name, element("input", { name, type, value, autocomplete: "off", ...limits }));

/** Fill the form with its fields. */
export function setUpFaults() {
  const form = at("fault-form");
  form.append(
    choice(
      "kind",
      KINDS.map((one) => [one, one]),
    ),
    choice("method", [["", "*"], ...METHODS.map((one) => [one, one])]),
    ...FIELDS.map(entry),
    element(
      "fieldset",
      { class: "fields wide" },
      element("legend", { "data-text": "dashboard.faults.optional" }),
      choice("pos_id", [["", "*"]]),
      ...SELECTORS.map(entry),
    ),
    element("button", { type: "submit", class: "strong wide", "data-text": "dashboard.faults.add" }),
  );
  const fit = () => {
    for (const { name, only } of FIELDS.filter((one) => one.only)) {
      const isNeeded = only.includes(form.elements.kind.value);
      form.querySelector(`[data-field="${name}"]`).hidden = !isNeeded;
      form.elements[name].disabled = !isNeeded;
    }
  };
  form.elements.kind.addEventListener("change", fit);
  fit();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await call("POST", "/faults", asked(form));
      say(text("dashboard.faults.added"));
    });
  });
  at("faults-clear").addEventListener("click", () =>
    attempt(async () => {
      await call("DELETE", "/faults");
      say(text("dashboard.faults.removed"));
      at("faults-title").focus();
    }),
  );
}

/** Return the rule that the form asks for: what its kind needs, and what differs from the sandbox's own defaults. */
function asked(form) {
  const rule = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled || (control.value === control.defaultValue && !control.required)) continue;
    if (control.value !== "") rule[control.name] = control.type === "number" ? Number(control.value) : control.value;
    else if (control.name === "times") rule.times = null;
  }
  return rule;
}

/** Let the form offer these accounts. */
export function offerAccounts(posIds) {
  const select = at("fault-form").elements.pos_id;
  const chosen = select.value;
  select.replaceChildren(...["", ...posIds].map((one) => element("option", { value: one }, one || "*")));
  select.value = posIds.includes(chosen) ? chosen : "";
}

/** Say which requests a rule selects and how often. */
function described(rule) {
  const { amount_min: least, amount_max: most } = rule;
  const isExact = least !== null && least === most;
  const amounts = isExact
    ? money(least)
    : `${least === null ? "" : money(least)} … ${most === null ? "" : money(most)}`;
  const parts = [
    rule.method ?? text("dashboard.faults.any"),
    DELAYS.includes(rule.kind) ? `${rule.after_s} s` : null,
    rule.kind.startsWith("error") ? String(rule.error_code) : null,
    rule.kind.startsWith("http-error") ? `HTTP ${rule.status}` : null,
    rule.code ? `${text("fault.code")} ${rule.code}` : null,
    least != null || most != null ? amounts : null,
    rule.pos_id,
    rule.header ? `${rule.header}: ${rule.header_value ?? "*"}` : null,
    rule.skip ? `${text("fault.skip")} ${rule.skip}` : null,
    rule.probability < 1 ? `p = ${rule.probability}` : null,
    rule.times === null ? text("dashboard.faults.always") : text("dashboard.faults.times", { count: rule.times }),
  ];
  return parts.filter((part) => part).join(" · ");
}

export function showFaults(rules) {
  const focused = at("faults").contains(document.activeElement) ? document.activeElement.dataset.fault : undefined;
  at("faults-none").hidden = rules.length > 0;
  at("faults-clear").hidden = rules.length === 0;
  const remove = (rule) => () =>
    attempt(async () => {
      await call("DELETE", `/faults/${rule.number}`);
      say(text("dashboard.faults.removed"));
      at("faults-title").focus();
    });
  at("faults").replaceChildren(
    ...rules.map((rule) =>
      element(
        "li",
        { class: "line" },
        element("div", {}, element("strong", {}, rule.kind), element("small", {}, described(rule))),
        element(
          "button",
          {
            type: "button",
            class: "small",
            "data-fault": rule.number,
            "aria-label": text("dashboard.faults.remove", { number: rule.number }),
            onclick: remove(rule),
          },
          "✕",
        ),
      ),
    ),
  );
  // A fault that a request used is drawn anew, and keeps the focus.
  if (focused !== undefined) (at("faults").querySelector(`[data-fault="${focused}"]`) ?? at("faults-title")).focus();
}
