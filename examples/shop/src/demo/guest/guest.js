// What a guest of the demo does: looks at three teas, puts each into the basket, searches, buys, and leaves.

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const guest = Number(new URLSearchParams(location.search).get("guest"));

async function click(selector) {
  document.querySelector(selector).click();
  await pause(250);
}

for (const n of [1, 2, 3]) {
  await click(`#tea-${((guest * 7 + n * 3) % 40) + 1}`);
  await click("#take");
  await click("#home");
}
document.querySelector("#find input").value = "no. 1";
document.querySelector("#find").requestSubmit();
await click("#basket");
await click("#buy");
await pause(500);
location.assign("/left");
