// The live page: what /summary says when it is opened, then the events of /events as they come.
"use strict";

const EVENTS_SHOWN = 60;
const ORDERS_SHOWN = 12;
const SECONDS = 60;
const ENTITIES = ["customers", "products", "inventories", "carts", "orders", "billings", "shippings"];
const STATUSES = ["CREATED", "IN_STOCK", "OUT_OF_STOCK", "CLEARED", "UNCLEARED", "SHIPPED",
  "DELIVERED", "CANCELLED"];

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const state = {
  events: [],           // newest first
  known: new Set(),     // positions of these
  orders: new Map(),    // id -> latest event, newest last
  topics: new Set(),
  perSecond: new Array(SECONDS).fill(0),
  paused: false,
  changed: false,       // since the last summary
  drawing: false,
};

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const position = (event) => `${event.entry_id}/${event.topic}`;
const milliseconds = (event) => Number(event.entry_id.split("-")[0]);

// Of today the time alone; a shop may show a history.
function moment(event) {
  const at = new Date(milliseconds(event));
  return (at.toDateString() === new Date().toDateString() ? clock : calendar).format(at);
}
const plural = (count, word) => `${number.format(count)} ${word}${count === 1 ? "" : "s"}`;
const short = (id) => id.slice(0, 8);

function compare(a, b) {
  const [am, au] = a.entry_id.split("-").map(Number);
  const [bm, bu] = b.entry_id.split("-").map(Number);
  return am - bm || au - bu || (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0);
}

// What an event is about, in a few words.
function describe(event) {
  const data = event.data || {};
  const parts = [];
  if (data.name) parts.push(data.name);
  if (data.recipient) parts.push(data.recipient);
  if (data.message) parts.push(data.message);
  if (data.status && event.topic === "order") parts.push(data.status);
  if (data.order_id && event.topic !== "cart") parts.push(`order ${short(data.order_id)}`);
  if (data.product_id) parts.push(`product ${short(data.product_id)}`);
  if (Array.isArray(data.product_ids)) parts.push(plural(data.product_ids.length, "unit"));
  if (event.topic === "billing" && data.amount !== undefined) parts.push(money.format(data.amount / 100));
  else if (data.amount !== undefined) parts.push(`${number.format(data.amount)} in stock`);
  if (data.price !== undefined) parts.push(money.format(data.price / 100));
  if (data.total !== undefined) parts.push(money.format(data.total / 100));
  return parts.join(" · ");
}

function take(event, fresh) {
  const key = position(event);
  if (state.known.has(key)) return;
  state.known.add(key);
  event.fresh = fresh;
  state.events.unshift(event);
  if (event.topic === "order" && event.entity_id) {
    state.orders.delete(event.entity_id);
    state.orders.set(event.entity_id, event);
  }
  state.topics.add(event.topic);
}

function trim() {
  for (const event of state.events.splice(EVENTS_SHOWN * 4)) state.known.delete(position(event));
  while (state.orders.size > ORDERS_SHOWN * 4) state.orders.delete(state.orders.keys().next().value);
}

// ---- drawing, at most once per frame ----

function draw() {
  if (state.drawing) return;
  state.drawing = true;
  requestAnimationFrame(() => {
    state.drawing = false;
    trim();
    if (!state.paused) drawEvents();
    drawOrders();
  });
}

function drawEvents() {
  const topic = $("topic").value;
  const rows = state.events.filter((e) => !topic || e.topic === topic).slice(0, EVENTS_SHOWN);
  $("events").replaceChildren(...rows.map((event) => {
    const row = element("li", undefined, event.fresh ? "fresh" : "");
    event.fresh = false;
    const time = element("time", moment(event));
    time.dateTime = new Date(milliseconds(event)).toISOString();
    const name = element("span");
    name.append(element("b", event.type || event.action), ` ${event.topic}`);
    const id = element("span", event.entity_id ? `${short(event.entity_id)} v${event.version}` : "", "version id");
    row.append(time, name, id, element("span", describe(event), "what"));
    return row;
  }));
  if (rows.length === 0) $("events").append(element("li", "Nothing has happened yet.", "empty"));
  for (const name of [...state.topics].sort()) {
    if ([...$("topic").options].some((option) => option.value === name)) continue;
    const option = element("option", name);
    option.value = name;
    $("topic").append(option);
  }
}

function statusMark(status) {
  const mark = element("span", undefined, "status");
  mark.style.color = `var(--s-${status})`;
  mark.append(element("span", status));
  return mark;
}

function drawOrders() {
  const rows = [...state.orders.values()].reverse()
    .filter((event) => event.data && event.action !== "entity_deleted").slice(0, ORDERS_SHOWN);
  $("recent").replaceChildren(...rows.map((event) => {
    const order = event.data;
    const row = element("tr");
    const link = element("a", short(event.entity_id), "id");
    link.href = `/order/${event.entity_id}`;
    link.title = event.entity_id;
    const units = (order.items || []).reduce((sum, item) => sum + Number(item.quantity), 0);
    const cells = [element("td"), element("td"), element("td", number.format(units), "number"),
      element("td", money.format(Number(order.total || 0) / 100), "number"),
      element("td", moment(event))];
    cells[0].append(link);
    cells[1].append(statusMark(order.status));
    row.append(...cells);
    return row;
  }));
  if (rows.length === 0) {
    const cell = element("td", "No orders yet.", "empty");
    cell.colSpan = 5;
    const row = element("tr");
    row.append(cell);
    $("recent").append(row);
  }
}

// Without a summary the shape of one, so that nothing jumps when it comes.
function drawCounts(summary) {
  const text = (count) => (summary ? number.format(count) : "–");
  const { counts, orders } = summary || { counts: {}, orders: {} };
  $("counts").replaceChildren(...ENTITIES.map((name) => {
    const box = element("div");
    box.append(element("dt", name), element("dd", text(counts[name] || 0)));
    return box;
  }));
  const most = Math.max(1, ...Object.values(orders));
  $("orders").replaceChildren(...STATUSES.map((status) => {
    const count = orders[status] || 0;
    const row = element("tr"), head = element("th"), middle = element("td");
    const bar = element("div", undefined, "bar"), fill = element("i");
    head.scope = "row";
    head.append(statusMark(status));
    bar.style.color = `var(--s-${status})`;
    fill.style.width = `${(100 * count) / most}%`;
    bar.append(fill);
    middle.append(bar);
    row.append(head, middle, element("td", text(count)));
    return row;
  }));
}

function drawServices(health) {
  $("services").replaceChildren(...Object.entries(health.services).map(([name, service]) => {
    const item = element("li", name, service.healthy ? "" : "down");
    item.title = service.detail || "healthy";
    if (!service.healthy) item.append(`: ${service.detail}`);
    return item;
  }));
}

function drawPulse() {
  const canvas = $("pulse"), pen = canvas.getContext("2d");
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (width === 0) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const most = Math.max(...state.perSecond);
  if (most === 0) return; // an axis without bars looks like a mistake
  const step = width / SECONDS;
  pen.fillStyle = style.getPropertyValue("--line");
  pen.fillRect(0, height - 1, width, 1);
  pen.fillStyle = style.getPropertyValue("--accent");
  state.perSecond.forEach((count, i) => {
    const h = (height - 2) * (count / most);
    pen.fillRect(i * step, height - 1 - h, step - 1, h);
  });
}

// ---- asking ----

function trouble(text) {
  $("trouble").hidden = !text;
  if (text && $("trouble").textContent !== text) $("trouble").textContent = text;
}

async function fetchJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok && !body.services) throw new Error(body.error || answer.statusText);
  return body;
}

async function refreshSummary() {
  state.changed = false;
  const summary = await fetchJson("/summary");
  for (const event of [...summary.recent_orders].reverse()) {
    const known = state.orders.get(event.entity_id);
    if (!known || compare(known, event) < 0) {
      state.orders.delete(event.entity_id);
      state.orders.set(event.entity_id, event);
    }
  }
  state.orders = new Map([...state.orders].sort((a, b) => compare(a[1], b[1])));
  for (const event of [...summary.recent_events].reverse()) {
    if (!state.known.has(position(event))) take(event, false);
  }
  state.events.sort((a, b) => compare(b, a));
  drawCounts(summary);
  draw();
}

async function refresh(first) {
  const asked = [fetchJson("/health").then(drawServices)];
  if (first || state.changed) asked.push(refreshSummary());
  const failed = (await Promise.allSettled(asked)).find((one) => one.status === "rejected");
  if (failed) state.changed = true;
  trouble(failed ? `The shop does not answer as it should: ${failed.reason.message}` : "");
  setTimeout(refresh, document.hidden ? 10000 : 2000);
}

function link(text, className) {
  $("link").className = `link ${className}`;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}

function connect() {
  const source = new EventSource("/events");
  source.onopen = () => { link("live", "live"); state.changed = true; };
  source.onerror = () => {
    link("lost, trying again", "lost");
    // A refused connection (503) is not tried again by the browser itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  source.onmessage = (message) => {
    state.perSecond[SECONDS - 1]++;
    state.changed = true;
    try {
      take(JSON.parse(message.data), true);
    } catch (error) {
      console.warn("not JSON", message.data);
    }
    draw();
  };
}

setInterval(() => {
  $("rate").textContent = number.format(state.perSecond[SECONDS - 1]);
  drawPulse();
  state.perSecond.push(0);
  state.perSecond.shift();
}, 1000);

$("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  draw();
});
$("topic").addEventListener("change", draw);
drawCounts(null);
connect();
refresh(true);
