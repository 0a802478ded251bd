// The texts of both pages in English, Russian and Uzbek, in this order.

const LANGUAGES = ["en", "ru", "uz"];
const KEPT_AS = "payme-sandbox-language";

const TEXTS = {
  // Both pages.
  brand: ["Payme sandbox", "Учебный сервер Payme", "Payme o‘quv serveri"],
  tagline: ["No real money moves", "Деньги не настоящие", "Haqiqiy pul emas"],
  skip: ["Skip to the content", "К содержанию", "Mazmunga o‘tish"],
  language: ["Language", "Язык", "Til"],
  live: ["Live", "На связи", "Aloqada"],
  connecting: ["Connecting…", "Подключение…", "Ulanmoqda…"],
  reconnecting: [
    "Connection lost, reconnecting…",
    "Связь потеряна, подключаемся снова…",
    "Aloqa uzildi, qayta ulanmoqda…",
  ],
  unreachable: ["The sandbox does not answer", "Учебный сервер не отвечает", "O‘quv serveri javob bermayapti"],
  currency: ["UZS", "сум", "so‘m"],
  "state.0": ["Created", "Создан", "Yaratilgan"],
  "state.1": ["Waiting for the buyer", "Ждёт покупателя", "Xaridor kutilmoqda"],
  "state.2": ["Debiting", "Списание", "Yechilmoqda"],
  "state.3": ["Closing", "Завершение", "Yakunlanmoqda"],
  "state.4": ["Paid", "Оплачен", "To‘langan"],
  "state.5": ["Held", "Удержан", "Ushlab turilgan"],
  "state.6": ["Being held", "Удерживается", "Ushlab turilmoqda"],
  "state.20": ["Paused", "Приостановлен", "To‘xtatib turilgan"],
  "state.21": ["Being cancelled", "Отменяется", "Bekor qilinmoqda"],
  "state.30": ["Queued for closing", "В очереди на завершение", "Yakunlash navbatida"],
  "state.50": ["Cancelled", "Отменён", "Bekor qilingan"],
  "state.other": ["Unknown state", "Неизвестное состояние", "Noma’lum holat"],

  // The phone.
  "phone.title": ["Buyer’s phone", "Телефон покупателя", "Xaridor telefoni"],
  "phone.card": ["Card", "Карта", "Karta"],
  "phone.balance": ["Balance", "Баланс", "Balans"],
  "phone.show": ["Show this code to the cashier", "Покажите код кассиру", "Kodni kassirga ko‘rsating"],
  "phone.qr": ["QR code of the payment", "QR-код оплаты", "To‘lov QR-kodi"],
  "phone.left": ["Valid for {seconds} s", "Ещё {seconds} с", "Yana {seconds} s"],
  "phone.expired": ["The code has expired", "Код больше не действует", "Kod muddati tugadi"],
  "phone.new": ["New code", "Новый код", "Yangi kod"],
  "phone.copy": ["Copy", "Копировать", "Nusxalash"],
  "phone.copied": ["Code copied", "Код скопирован", "Kod nusxalandi"],
  "phone.not_copied": ["The code can’t be copied", "Не удалось скопировать код", "Kodni nusxalab bo‘lmadi"],
  "phone.behaviour": [
    "What happens to the next payment",
    "Что будет со следующей оплатой",
    "Keyingi to‘lov qanday o‘tadi",
  ],
  "phone.pays": ["Pays at once", "Платит сразу", "Darrov to‘laydi"],
  "phone.confirms": ["Pays later", "Платит позже", "Keyin to‘laydi"],
  "phone.declines": ["Declines", "Отклоняет", "Rad etadi"],
  "phone.lacks-funds": ["Lacks funds", "Нет средств", "Mablag‘ yo‘q"],
  "phone.asks": ["Asks here", "Спросит здесь", "Shu yerda so‘raydi"],
  "phone.fails": ["Error", "Ошибка", "Xato"],
  "phone.slow": ["Slow refund", "Долгий возврат", "Sekin qaytarish"],
  "phone.refused": ["Refund refused", "Возврат отклонён", "Qaytarish rad etildi"],
  "phone.turns-back": ["Refund fails", "Возврат сорвался", "Qaytarish uzildi"],
  "phone.seconds": ["After how many seconds", "Через сколько секунд", "Necha soniyadan keyin"],
  "phone.code": ["Error code", "Код ошибки", "Xato kodi"],
  "phone.asked": ["asks you to pay", "просит оплату", "to‘lov so‘ramoqda"],
  "phone.pay": ["Pay", "Оплатить", "To‘lash"],
  "phone.decline": ["Decline", "Отклонить", "Rad etish"],
  "phone.outcome.waiting": ["Confirm the payment", "Подтвердите оплату", "To‘lovni tasdiqlang"],
  "phone.outcome.moving": ["Paying…", "Оплата проходит…", "To‘lov o‘tmoqda…"],
  "phone.outcome.paid": ["Paid", "Оплачено", "To‘landi"],
  "phone.outcome.returning": ["The money is on its way back", "Деньги возвращаются", "Pul qaytmoqda"],
  "phone.outcome.cancelling": ["The payment is being cancelled", "Оплата отменяется", "To‘lov bekor qilinmoqda"],
  "phone.outcome.refunded": ["Refunded", "Деньги возвращены", "Pul qaytarildi"],
  "phone.outcome.cancelled": [
    "Cancelled, nothing was charged",
    "Отменено, деньги не списаны",
    "Bekor qilindi, pul yechilmadi",
  ],
  "phone.outcome.failed": ["Not paid: error {code}", "Не оплачено: ошибка {code}", "To‘lanmadi: xato {code}"],
  "phone.outcome.unpaid": ["Not paid", "Не оплачено", "To‘lanmadi"],
  "phone.outcome.paused": ["Under review at the bank", "На проверке в банке", "Bank tekshirmoqda"],
  "phone.time.created": ["Created", "Создан", "Yaratildi"],
  "phone.time.paid": ["Paid", "Оплачен", "To‘landi"],
  "phone.time.cancelled": ["Cancelled", "Отменён", "Bekor qilindi"],
  "phone.receipt": ["Receipt", "Чек", "Chek"],
  "phone.history": ["Receipts", "Чеки", "Cheklar"],
  "phone.history.none": ["No payments yet", "Оплат ещё не было", "Hali to‘lovlar yo‘q"],
  "phone.gone": [
    "The sandbox does not know this phone: here is a new one",
    "Учебный сервер не знает этот телефон: вот новый",
    "O‘quv serveri bu telefonni bilmaydi: mana yangisi",
  ],
  "phone.missed": ["There was no payment to answer", "Оплата уже не ждёт ответа", "Javob kutayotgan to‘lov yo‘q"],

  // The dashboard.
  "dashboard.title": ["Dashboard", "Пульт", "Boshqaruv pulti"],
  "dashboard.receipts": ["Receipts", "Чеки", "Cheklar"],
  "dashboard.requests": ["Requests", "Запросы", "So‘rovlar"],
  "dashboard.find": ["Find", "Найти", "Izlash"],
  "dashboard.find.hint": ["Receipt, order, code, amount…", "Чек, заказ, код, сумма…", "Chek, buyurtma, kod, summa…"],
  "dashboard.account": ["Account", "Касса Payme", "Payme kassasi"],
  "dashboard.state": ["State", "Состояние", "Holat"],
  "dashboard.method": ["Method", "Метод", "Metod"],
  "dashboard.all": ["All", "Все", "Hammasi"],
  "dashboard.errors": ["Errors only", "Только ошибки", "Faqat xatolar"],
  "dashboard.receipts.none": [
    "No receipts yet. Let a till create one.",
    "Чеков пока нет. Пусть касса создаст первый.",
    "Hali cheklar yo‘q. Kassa birinchisini yaratsin.",
  ],
  "dashboard.requests.none": ["No requests yet", "Запросов пока нет", "Hali so‘rovlar yo‘q"],
  "dashboard.nothing": ["Nothing matches the filters", "Под фильтры ничего не подходит", "Filtrlarga mos narsa yo‘q"],
  "dashboard.older": ["Show {count} older", "Показать ещё {count}", "Yana {count} ta ko‘rsatish"],
  "dashboard.shown": ["{shown} of {all}", "{shown} из {all}", "{shown} / {all}"],
  "dashboard.away": ["Take the server away", "Отключить сервер", "Serverni o‘chirish"],
  "dashboard.back": ["Bring the server back", "Включить сервер", "Serverni yoqish"],
  "dashboard.is_away": [
    "The server is away: tills can’t connect",
    "Сервер отключён: кассы не могут подключиться",
    "Server o‘chirilgan: kassalar ulana olmaydi",
  ],
  "dashboard.is_back": ["The server is back", "Сервер включён", "Server yoqildi"],
  "dashboard.confirm": ["Confirm", "Подтвердить", "Tasdiqlash"],
  "dashboard.decline": ["Decline", "Отклонить", "Rad etish"],
  "dashboard.pay": ["Pay late", "Провести оплату", "To‘lovni o‘tkazish"],
  "dashboard.cancel": ["Cancel at the bank", "Отменить в банке", "Bankda bekor qilish"],
  "dashboard.row.confirm": ["Confirm", "Подтвердить", "Tasdiqlash"],
  "dashboard.row.decline": ["Decline", "Отклонить", "Rad etish"],
  "dashboard.row.pay": ["Pay late", "Оплатить", "To‘lash"],
  "dashboard.row.cancel": ["Cancel", "Отменить", "Bekor qilish"],
  "dashboard.done": [
    "{action}: receipt {receipt} is now «{state}»",
    "{action}: чек {receipt} теперь «{state}»",
    "{action}: {receipt} chek endi «{state}»",
  ],
  "dashboard.details": ["Details", "Подробности", "Tafsilotlar"],
  "dashboard.details.none": ["Select a receipt or a request", "Выберите чек или запрос", "Chek yoki so‘rovni tanlang"],
  "dashboard.close": ["Close", "Закрыть", "Yopish"],
  "dashboard.receipt": ["Receipt {id}", "Чек {id}", "Chek {id}"],
  "dashboard.request": ["Request {number}", "Запрос {number}", "So‘rov {number}"],
  "dashboard.held": ["Held by Payme", "Деньги у Payme", "Payme’da turibdi"],
  "dashboard.description": ["Description", "Описание", "Tavsif"],
  "dashboard.only": ["Show only its requests", "Показать только его запросы", "Faqat uning so‘rovlari"],
  "dashboard.timeline": ["Timeline", "Ход событий", "Voqealar"],
  "dashboard.created": ["Created", "Создан", "Yaratildi"],
  "dashboard.paid": ["Paid", "Оплачен", "To‘landi"],
  "dashboard.cancelled": ["Cancelled", "Отменён", "Bekor qilindi"],
  "dashboard.fiscal": ["Fiscal data", "Фискальные данные", "Fiskal ma’lumot"],
  "dashboard.received": ["Received", "Получен", "Qabul qilindi"],
  "dashboard.asked": ["Request", "Запрос", "So‘rov"],
  "dashboard.answered": ["Answer", "Ответ", "Javob"],
  "dashboard.no_answer": ["No answer left the server", "Сервер не ответил", "Server javob bermadi"],
  "dashboard.took": ["Took", "Заняло", "Davomiyligi"],
  "dashboard.connection": ["Connection", "Соединение", "Ulanish"],
  "dashboard.fault": ["Fault", "Сбой", "Nosozlik"],
  "dashboard.key.right": ["right key", "ключ верный", "kalit to‘g‘ri"],
  "dashboard.key.wrong": ["wrong key", "ключ неверный", "kalit noto‘g‘ri"],
  "dashboard.ok": ["OK", "OK", "OK"],
  "dashboard.running": ["in progress", "выполняется", "bajarilmoqda"],
  "dashboard.silent": ["no answer", "нет ответа", "javob yo‘q"],
  "dashboard.error": ["error {code}", "ошибка {code}", "xato {code}"],
  "dashboard.faults": ["Faults in force", "Действующие сбои", "Amaldagi nosozliklar"],
  "dashboard.faults.none": [
    "None: every request is handled normally",
    "Нет: все запросы обрабатываются как обычно",
    "Yo‘q: barcha so‘rovlar odatdagidek",
  ],
  "dashboard.faults.add": ["Add a fault", "Добавить сбой", "Nosozlik qo‘shish"],
  "dashboard.faults.clear": ["Clear all", "Убрать все", "Hammasini o‘chirish"],
  "dashboard.faults.remove": ["Remove fault {number}", "Убрать сбой {number}", "{number}-nosozlikni o‘chirish"],
  "dashboard.faults.added": ["Fault added", "Сбой добавлен", "Nosozlik qo‘shildi"],
  "dashboard.faults.removed": ["Fault removed", "Сбой убран", "Nosozlik olib tashlandi"],
  "dashboard.faults.any": ["any request", "любой запрос", "istalgan so‘rov"],
  "dashboard.faults.always": ["always", "всегда", "doim"],
  "dashboard.faults.times": ["{count} ×", "{count} ×", "{count} ×"],
  "dashboard.faults.optional": ["Which requests", "Какие запросы", "Qaysi so‘rovlar"],
  "fault.kind": ["Kind", "Вид", "Turi"],
  "fault.method": ["Method", "Метод", "Metod"],
  "fault.code": ["Code begins with", "Код начинается с", "Kod boshlanishi"],
  "fault.amount_min": ["Amount from, tiyin", "Сумма от, тийин", "Summa …dan, tiyin"],
  "fault.amount_max": ["Amount to, tiyin", "Сумма до, тийин", "Summa …gacha, tiyin"],
  "fault.pos_id": ["Account", "Касса Payme", "Payme kassasi"],
  "fault.header": ["Header", "Заголовок", "Sarlavha"],
  "fault.header_value": ["Header’s value", "Значение заголовка", "Sarlavha qiymati"],
  "fault.times": ["How often (empty: always)", "Сколько раз (пусто: всегда)", "Necha marta (bo‘sh: doim)"],
  "fault.skip": ["Let pass first", "Сколько сначала пропустить", "Avval o‘tkazish"],
  "fault.probability": ["Probability, 0 to 1", "Вероятность, от 0 до 1", "Ehtimol, 0 dan 1 gacha"],
  "fault.after_s": ["Delay, seconds", "Задержка, секунд", "Kechikish, soniya"],
  "fault.error_code": ["Error code", "Код ошибки", "Xato kodi"],
  "fault.status": ["HTTP status", "Статус HTTP", "HTTP holati"],
  "dashboard.accounts": ["Merchant accounts", "Кассы Payme", "Payme kassalari"],
  "dashboard.accounts.count": ["{count} receipts", "чеков: {count}", "cheklar: {count}"],
  "dashboard.phone": ["Buyer’s phone", "Телефон покупателя", "Xaridor telefoni"],
  "dashboard.phone.open": ["Open a phone", "Открыть телефон", "Telefonni ochish"],
  "dashboard.phone.scan": [
    "Scan it with a phone, or open it here",
    "Отсканируйте телефоном или откройте здесь",
    "Telefon bilan skanerlang yoki shu yerda oching",
  ],
  "dashboard.ms": ["{ms} ms", "{ms} мс", "{ms} ms"],
};

let language = LANGUAGES[0];

/** Return what the browser keeps under a key; null if it keeps nothing, e.g. because its user does not let it. */
export function recall(storage, key) {
  try {
    return window[storage].getItem(key);
  } catch {
    return null;
  }
}

export function keep(storage, key, value) {
  try {
    window[storage].setItem(key, value);
  } catch {
    // Then only this page knows it.
  }
}

/** Choose the language that was chosen before, else the browser's, else English. */
export function useKeptLanguage() {
  const kept = recall("localStorage", KEPT_AS);
  const wanted = [kept, ...navigator.languages.map((one) => one.slice(0, 2))];
  language = wanted.find((one) => LANGUAGES.includes(one)) ?? LANGUAGES[0];
}

export function useLanguage(chosen) {
  language = chosen;
  keep("localStorage", KEPT_AS, chosen);
}

export const currentLanguage = () => language;

/** Return the text of a key with its {places} filled; an unknown key is an error of ours. */
export function text(key, values = {}) {
  const row = TEXTS[key];
  if (!row) throw new Error(`no text ${key}`);
  return row[LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}

export const stateText = (state) => text(`state.${state}` in TEXTS ? `state.${state}` : "state.other");

/** Fill every element with data-text, and every attribute named by data-text-ATTRIBUTE, below `root`. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const one of root.querySelectorAll("[data-text]")) one.textContent = text(one.dataset.text);
  for (const attribute of ["aria-label", "placeholder"]) {
    for (const one of root.querySelectorAll(`[data-text-${attribute}]`)) {
      one.setAttribute(attribute, text(one.getAttribute(`data-text-${attribute}`)));
    }
  }
}

export { LANGUAGES, TEXTS };
