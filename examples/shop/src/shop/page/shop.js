// The shop in the browser: one page, whose address says what it shows.
// Clicks, searches and times are captured by tidings.js; what means something to the shop is told by `track`.

const main = document.getElementById("main");
const basket = new Map(JSON.parse(sessionStorage.getItem("basket") ?? "[]"));
const products = await (await fetch("/products")).json();
const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });

function element(name, content, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...[content].flat());
  return made;
}

function list(wanted) {
  const item = (product) =>
    element("li", element("a", [product.name, element("small", money.format(product.price_cents / 100))], {
      href: `/tea/${product.product_id}`,
      id: `tea-${product.product_id}`,
    }));
  main.replaceChildren(element("h1", `${wanted.length} teas`), element("ul", wanted.map(item)));
}

function one(product) {
  const take = element("button", "Put into the basket", { id: "take" });
  take.addEventListener("click", () => {
    basket.set(product.product_id, (basket.get(product.product_id) ?? 0) + 1);
    remember();
    window.tidings?.track("shop:basket:filled", { product_id: product.product_id, pieces: pieces() });
  });
  const price = money.format(product.price_cents / 100);
  main.replaceChildren(element("h1", product.name), element("p", price), take);
  window.tidings?.track("shop:product:viewed", { product_id: product.product_id });
}

function till() {
  const line = ([id, quantity]) => element("p", `${quantity} × ${products.find((p) => p.product_id === id)?.name}`);
  const buy = element("button", "Buy", { id: "buy", disabled: basket.size === 0 });
  buy.addEventListener("click", order);
  main.replaceChildren(element("h1", "Basket"), ...[...basket].map(line), buy);
}

async function order() {
  const lines = [...basket].map(([product_id, quantity]) => ({ product_id, quantity }));
  const answer = await post("/orders", { customer: "Somebody in a browser", gift_card: null, lines });
  const said = await answer.json();
  if (answer.ok) await post(`/orders/${said.id}/pay`, { method: "card" });
  basket.clear();
  remember();
  const words = answer.ok ? `Thank you. Your order is ${said.id}.` : said.error;
  main.replaceChildren(element("h1", answer.ok ? "Paid" : "Sorry"), element("p", words));
}

const post = (path, body) =>
  fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const pieces = () => [...basket.values()].reduce((sum, quantity) => sum + quantity, 0);

function remember() {
  sessionStorage.setItem("basket", JSON.stringify([...basket]));
  document.getElementById("pieces").textContent = pieces();
}

function show() {
  const product = products.find((product) => location.pathname === `/tea/${product.product_id}`);
  if (product) one(product);
  else if (location.pathname === "/basket") till();
  else list(products);
}

function go(path) {
  history.pushState(null, "", path);
  show();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
document.getElementById("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new FormData(event.target).get("query").toLowerCase();
  list(products.filter((product) => product.name.toLowerCase().includes(query)));
});
document.getElementById("opt").addEventListener("click", async (event) => {
  await window.tidings?.optOut();
  event.target.replaceWith("Nothing is reported any more.");
});
addEventListener("popstate", show);
remember();
show();

// A guest of the demo clicks by itself.
if (new URLSearchParams(location.search).has("guest")) await import("/guest.js");
