// What is wider than its box scrolls sideways, and shows that it does (.sideways in book.css).
const BOXES = ".scroll, .pst-scrollable-table-container, div.math, span.math, mjx-container, pre.aligned";

// A dozen pixels are a margin: nothing to read is cut.
function mark() {
  for (const box of document.querySelectorAll(`.bd-article :is(${BOXES})`)) {
    const scrolls = ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    box.classList.toggle("sideways", scrolls && box.scrollWidth > box.clientWidth + 12);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  // A printed table keeps its columns; printed sentences wrap.
  for (const pre of document.querySelectorAll(".cell_output pre"))
    pre.classList.toggle("aligned", /\S {2,}\S[^]*\n[^]*\S {2,}\S/.test(pre.textContent));
  new ResizeObserver(mark).observe(document.querySelector(".bd-article") ?? document.body); // formulas come late
});
