// The small sign in the corner that says whether what is shown is current.

const sign = document.getElementById("pulse");

/** `state`: waiting, live, paused or lost. */
export function pulse(state, label) {
  if (!sign || (sign.dataset.state === state && sign.lastElementChild.textContent === label)) return;
  sign.dataset.state = state;
  sign.lastElementChild.textContent = label;
}
