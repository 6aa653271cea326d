if (data.curves.length) {
  const curves = data.curves.map((curve, index) => ({ ...curve, paint: () => hue(index, data.curves.length) }));
  lossChart("totals", curves, () => {});
}

const dialog = byId("enlarged");
const thumbs = [...document.querySelectorAll(".thumb")];
let current = 0;

/** Show one of the pictures in the dialog, with its name and the way to its own report. */
function enlarge(index) {
  current = (index + thumbs.length) % thumbs.length;
  const image = thumbs[current].querySelector("img");
  byId("enlarged-picture").src = image.src;
  byId("enlarged-picture").alt = image.alt;
  byId("enlarged-label").textContent = image.alt;
  byId("enlarged-numbers").textContent = thumbs[current].parentElement.querySelector(".under")?.textContent ?? "";
  const link = byId("enlarged-link");
  const target = thumbs[current].dataset.link;
  link.hidden = !target;
  if (target) link.href = target;
  if (!dialog.open) dialog.showModal();
}

thumbs.forEach((thumb, index) => thumb.addEventListener("click", () => enlarge(index)));
byId("close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // on the backdrop
});
dialog.addEventListener("close", () => thumbs[current].focus());
dialog.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) enlarge(current + step);
});
