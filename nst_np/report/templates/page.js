/** Show the frame number `index`, or the nearest there is; the slider, the read-out and the curves' markers follow. */
let show = () => {};

/** Show the last frame that is not later than `iteration`. */
const showIteration = (iteration) => show(data.frames.findLastIndex((frame) => frame.iteration <= iteration));

const TERM_COLOURS = ["total", "content", "style", "tv"];
const terms = data.terms.map((curve) => ({
  ...curve,
  x: data.iterations,
  paint: () => colour(TERM_COLOURS.includes(curve.name) ? `curve-${curve.name}` : "muted"),
}));
const layers = data.layers.map((curve, index) => ({
  ...curve,
  x: data.iterations,
  dash: curve.name.startsWith("content ") ? "dash" : undefined,
  paint: () => hue(index, data.layers.length),
}));
const markers = [lossChart("terms", terms, showIteration), lossChart("layers", layers, showIteration)];

function startPlayer() {
  const [image, slider, play] = ["frame", "slider", "play"].map(byId);
  const last = data.frames.length - 1;
  let current = last;
  let timer = null;

  show = (index) => {
    current = Math.min(Math.max(index, 0), last);
    const frame = data.frames[current];
    image.src = `data:image/jpeg;base64,${frame.jpeg}`;
    image.alt = `The picture after iteration ${frame.iteration}`;
    slider.value = current;
    slider.setAttribute("aria-valuetext", `iteration ${frame.iteration}, ${frame.time}, total loss ${frame.total}`);
    byId("frame-iteration").textContent = frame.iteration;
    byId("frame-time").textContent = frame.time;
    byId("frame-total").textContent = frame.total;
    for (const mark of markers) mark(frame.iteration);
  };

  const pause = () => {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-label", "Play");
    play.classList.remove("playing");
  };
  const start = () => {
    if (current === last) show(0);
    play.setAttribute("aria-label", "Pause");
    play.classList.add("playing");
    const milliseconds = Math.min(Math.max(8000 / (last + 1), 40), 250); // about eight seconds for all of it
    timer = setInterval(() => {
      show(current + 1);
      if (current === last) pause();
    }, milliseconds);
  };
  play.addEventListener("click", () => (timer === null ? start() : pause()));
  slider.addEventListener("input", () => {
    pause();
    show(Number(slider.value));
  });

  // The keys of the slider work without a click on it, while the frames are in sight and nothing else wants the keys.
  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }; // up and down scroll the page
  document.addEventListener("keydown", (event) => {
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, [tabindex]")) return;
    const box = byId("player").getBoundingClientRect();
    if (box.bottom < 0 || box.top > innerHeight) return;
    event.preventDefault();
    pause();
    show(current + moves[event.key]);
  });
  show(last);
}
if (data.frames.length) startPlayer();

function startComparison() {
  const [box, split] = ["compare", "split"].map(byId);
  byId("after").src = byId("result").src;
  if (!byId("before").hasAttribute("src")) byId("before").src = byId("content").src;

  const divide = (percent) => box.style.setProperty("--split", `${Math.min(Math.max(percent, 0), 100)}%`);
  split.addEventListener("input", () => divide(Number(split.value)));
  const follow = (event) => {
    const { left, width } = box.getBoundingClientRect();
    const percent = (100 * (event.clientX - left)) / width;
    divide(percent);
    split.value = percent;
  };
  box.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // no dragging of the pictures themselves
    box.setPointerCapture(event.pointerId);
    split.focus({ focusVisible: false });
    follow(event);
  });
  box.addEventListener("pointermove", (event) => {
    if (box.hasPointerCapture(event.pointerId)) follow(event);
  });
}
if (byId("compare")) startComparison();
