"use strict";
(() => {
  const data = document.getElementById("curves");
  if (!data) return;
  const curves = JSON.parse(data.textContent);
  const whole = new Intl.NumberFormat("en-US");
  const count = (n) => whole.format(Math.abs(n));
  const part = (n, of) => (of ? ` (${n < 0 ? "−" : "+"}${(Math.abs(n) / of * 100).toFixed(1)}%)` : "");
  const documents = (n) => `${count(n)} document${n === 1 ? "" : "s"}`;
  const bold = (text) => Object.assign(document.createElement("b"), { textContent: text });
  const answer = (curve, notch) => {
    const now = curve.kept[curve.now], kept = curve.kept[notch], entering = curve.entering[notch];
    if (kept < now) return [bold(`${documents(kept)} kept`), `: ${count(now - kept)} fewer${part(kept - now, now)}.`];
    if (!entering) return [bold(`${documents(kept)} kept`), notch === curve.now ? ", as it is now." : ": no change."];
    if (curve.last) return [bold(`${documents(kept + entering)} kept`), `: ${count(entering)} more${part(entering, now)}.`];
    const likely = Math.round(entering * curve.later);
    return [
      bold(`${count(entering)} more document${entering === 1 ? " reaches" : "s reach"} the next stage`),
      `; if later stages keep as many of them as of others, about ${count(likely)} stay${part(likely, now)}.`,
    ];
  };
  for (const control of document.querySelectorAll(".control")) {
    const slider = control.querySelector("input"), curve = curves[slider.id];
    const card = control.closest(".card"), line = card.querySelector(".try");
    const show = () => {
      const notch = Number(slider.value);
      slider.setAttribute("aria-valuetext", curve.at[notch]);
      control.querySelector("output").textContent = curve.at[notch];
      control.querySelector(".answer").replaceChildren(...answer(curve, notch));
      line.setAttribute("x1", curve.x[notch]);
      line.setAttribute("x2", curve.x[notch]);
      line.setAttribute("visibility", notch === curve.now ? "hidden" : "visible");
    };
    slider.value = curve.now;
    slider.addEventListener("input", show);
    control.hidden = false;
    show();
  }
})();
