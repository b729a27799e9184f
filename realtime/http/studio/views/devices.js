/** Which camera and microphone a host's picture and sound come from, in a dialog. */

import { byId } from "../dom.js";
import { keep, kept, ofBrowser } from "../keeping.js";

const KEY = "stagewire.devices";
const NAMES = { camera: "Camera", microphone: "Microphone" };
const REFUSED = "This one cannot be used. Perhaps another program uses it.";

/** Gives the devices that were chosen on this computer, by kind. They may be gone. */
export function chosenDevices() {
  return kept(KEY, areDevices, ofBrowser) ?? {};
}

function areDevices({ camera = "", microphone = "" }) {
  return typeof camera === "string" && typeof microphone === "string";
}

/** `means()` has `devices()` and `choose(kind, id)`, of a player that publishes. */
export function devicesView(means) {
  const dialog = byId("devices");
  const fields = [byId("devices-camera"), byId("devices-microphone")];
  const fault = byId("devices-fault");

  async function fill() {
    const devices = await means().devices();
    for (const field of fields) fillField(field, devices.filter(({ kind }) => kind === field.dataset.kind));
  }

  async function choose({ value: id, dataset: { kind } }) {
    fault.textContent = "";
    try {
      await means().choose(kind, id);
      keep(KEY, { ...chosenDevices(), [kind]: id }, ofBrowser);
    } catch {
      fault.textContent = REFUSED;
      await fill();
    }
  }

  byId("devices-open").addEventListener("click", async () => {
    fault.textContent = "";
    await fill();
    dialog.showModal();
  });
  byId("devices-close").addEventListener("click", () => dialog.close());
  for (const field of fields) field.addEventListener("change", () => choose(field));

  return {
    close: () => dialog.close(),
    render(offered) {
      byId("devices-open").hidden = !offered;
      if (!offered) dialog.close();
    },
  };
}

function fillField(field, devices) {
  const { kind } = field.dataset;
  // Some browsers keep the names to themselves.
  const optionOf = ({ id, label, used }, index) => new Option(label || `${NAMES[kind]} ${index + 1}`, id, used, used);
  field.replaceChildren(...devices.map(optionOf));
  field.disabled = devices.length === 0;
  if (field.disabled) field.append(new Option(`No ${kind} was found`));
}
