"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const darkMode = matchMedia("(prefers-color-scheme: dark)");

/** The value of a colour of style.css as it is now, light or dark. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** The colour of one of several curves: from blue over green to red, dark enough on white and light enough on black. */
function hue(index, count) {
  const angle = 225 - 225 * (count > 1 ? index / (count - 1) : 0);
  return `hsl(${Math.round(angle)}, 65%, ${darkMode.matches ? 62 : 40}%)`;
}

/** Press one button of a group, release the others. */
function press(button) {
  for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
}

/** The step from tick to tick of a logarithmic axis: powers of ten, or 1, 2 and 5 of each, or as Plotly finds it. */
function logarithmicStep(curves) {
  const exponents = curves.flatMap((curve) => curve.y.filter((y) => y > 0).map(Math.log10));
  const decades = exponents.reduce((a, b) => Math.max(a, b), -Infinity) - exponents.reduce((a, b) => Math.min(a, b), Infinity);
  if (decades > 2) return Math.ceil(decades / 7);
  return decades > 0.7 ? "D2" : null;
}

/**
 * Losses over iterations in the figure `id`: a scale to choose, curves that chips switch on and off, a marker.
 *
 * Each curve has a `name`, `x`, `y`, perhaps a `weight`, a `dash` and a `paint`, which gives its colour in the present
 * mode. `picked` is called with the iteration that is clicked. Returns a function that moves the marker.
 */
function lossChart(id, curves, picked) {
  const figure = byId(id);
  const plot = figure.querySelector(".plot");
  const chips = figure.querySelector(".chips");
  const unified = curves.length <= 8; // more would hide the curves behind their values

  const traces = curves.map((curve) => ({
    name: curve.name.replace(/&/g, "&amp;").replace(/</g, "&lt;"), // Plotly reads markup in names
    x: curve.x,
    y: curve.y,
    type: "scatter",
    mode: curve.x.length > 1 ? "lines" : "markers",
    line: { color: curve.paint(), width: 2, dash: curve.dash || "solid" },
    hovertemplate: unified ? "%{y:.5g}" : "%{y:.5g} after iteration %{x}",
  }));
  const coarse = matchMedia("(pointer: coarse)").matches; // fingers scroll the page rather than zoom the plot
  const axis = () => ({ gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, automargin: true });
  const scales = {
    log: { type: "log", dtick: logarithmicStep(curves), exponentformat: "power" },
    linear: { type: "linear", dtick: null, exponentformat: "SI" },
  };
  const layout = {
    autosize: true,
    margin: { l: 8, r: 14, t: 10, b: 8 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("muted") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") }, namelength: -1 },
    hovermode: unified ? "x unified" : "closest",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("accent") },
    showlegend: false,
    dragmode: coarse ? false : "zoom",
    xaxis: { ...axis(), title: { text: "iteration", standoff: 8 }, unifiedhovertitle: { text: "iteration %{x}" } },
    yaxis: { ...axis(), ...scales.log },
    shapes: [],
  };
  Plotly.newPlot(plot, traces, layout, {
    responsive: true,
    displaylogo: false,
    displayModeBar: coarse ? false : "hover",
    showSendToCloud: false,
    showLink: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    toImageButtonOptions: { format: "svg", filename: `${id}-losses` },
  });
  plot.on("plotly_click", (event) => picked(event.points[0].x));

  curves.forEach((curve, index) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.setAttribute("aria-pressed", "true");
    chip.innerHTML = '<svg viewBox="0 0 18 4" aria-hidden="true"><path d="M0 2h18"/></svg>';
    chip.append(curve.name);
    chip.style.setProperty("--curve", curve.paint());
    if (curve.dash) chip.classList.add("dashed");
    chip.addEventListener("click", () => {
      const shown = chip.getAttribute("aria-pressed") !== "true";
      chip.setAttribute("aria-pressed", String(shown));
      Plotly.restyle(plot, { visible: shown }, [index]);
    });
    chips.append(chip);
  });

  for (const button of figure.querySelectorAll("[data-scale]")) {
    button.addEventListener("click", () => {
      const scale = scales[button.dataset.scale];
      press(button);
      Plotly.relayout(plot, {
        "yaxis.type": scale.type,
        "yaxis.dtick": scale.dtick,
        "yaxis.exponentformat": scale.exponentformat,
        "yaxis.autorange": true,
      });
    });
  }
  for (const button of figure.querySelectorAll("[data-weighted]")) {
    button.addEventListener("click", () => {
      press(button);
      const factor = (curve) => (button.dataset.weighted === "yes" ? curve.weight ?? 1 : 1);
      const values = curves.map((curve) => curve.y.map((y) => (y === null ? null : y * factor(curve))));
      Plotly.update(plot, { y: values }, { "yaxis.autorange": true });
    });
  }
  darkMode.addEventListener("change", () => {
    Plotly.restyle(plot, { "line.color": curves.map((curve) => curve.paint()) });
    Plotly.relayout(plot, {
      "font.color": colour("muted"),
      "modebar.color": colour("muted"),
      "modebar.activecolor": colour("accent"),
      "hoverlabel.bgcolor": colour("card"),
      "hoverlabel.bordercolor": colour("line"),
      "hoverlabel.font.color": colour("ink"),
      "xaxis.gridcolor": colour("line"),
      "yaxis.gridcolor": colour("line"),
    });
    curves.forEach((curve, index) => chips.children[index].style.setProperty("--curve", curve.paint()));
  });

  let waiting = null;
  return (iteration) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        const line = { color: colour("accent"), width: 1.5, dash: "dot" };
        const marker = { type: "line", x0: waiting, x1: waiting, y0: 0, y1: 1, yref: "paper", line };
        waiting = null;
        Plotly.relayout(plot, { shapes: [marker] });
      });
    }
    waiting = iteration;
  };
}

/** Copy a text, also where a page from disk may not use the clipboard itself. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("the browser does not allow copying");
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    try {
      await copy(data.copies[button.dataset.copy]);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand";
    }
    button.focus();
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}
