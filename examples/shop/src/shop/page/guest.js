// What a guest of the demo does: looks at teas, searches, fills the basket and buys, and leaves.

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const click = (selector) => document.querySelector(selector)?.click();
const guest = Number(new URLSearchParams(location.search).get("guest"));

for (const tea of [1, 2, 3].map((n) => ((guest * 7 + n * 3) % 40) + 1)) {
  await pause(400);
  click(`#tea-${tea}`);
  await pause(300);
  click("#take");
  await pause(200);
  click("#home");
}
document.querySelector("#find input").value = "no. 1";
document.querySelector("#find").requestSubmit();
await pause(300);
click("#basket");
await pause(300);
click("#buy");
await pause(500);
location.assign("/left");
