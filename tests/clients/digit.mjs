// @egovernments/telemetry: a script that watches a page by itself.

export async function open() {
  // It starts with the page.
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done));
  return {
    // Goes from page to page, as a citizen does; what is open at the end is a page without a number.
    send(numbers) {
      for (const n of numbers) history.pushState({}, "", `/page/${n}`);
      history.pushState({}, "", "/page");
    },
  };
}
