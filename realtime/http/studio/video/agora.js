/**
 * The engine on Agora's Web SDK (`agora-rtc-sdk-ng`, 4.x), which is loaded from where the server says, and only when it is needed.
 * Its methods are those of `test-picture.js`. What the SDK calls its errors and reasons is told as the faults of `words.js`.
 */

import { encodingOf, smallOf } from "./fit.js";

const AUDIENCE_LEVEL = { level: 1 };
const PORTRAIT = matchMedia("(orientation: portrait)");
const WARNINGS = 2;
// What Agora calls 0 is unknown, 1 and 2 are good, and from 4 on users can hardly follow.
const POOR_FROM = 4;
const GOOD_TO = 2;
const FAULTS = {
  PERMISSION_DENIED: "denied",
  DEVICE_NOT_FOUND: "missing",
  ENUMERATE_DEVICES_FAILED: "missing",
  CONSTRAINT_NOT_SATISFIED: "missing",
  NOT_READABLE: "busy",
  WEB_SECURITY_RESTRICT: "insecure",
  NOT_SUPPORTED: "unsupported",
  UID_CONFLICT: "elsewhere",
  TOKEN_EXPIRE: "expired",
  UID_BANNED: "banned",
  IP_BANNED: "banned",
  CHANNEL_BANNED: "banned",
  CAN_NOT_GET_GATEWAY_SERVER: "network",
  NETWORK_ERROR: "network",
  NETWORK_TIMEOUT: "network",
  NETWORK_RESPONSE_ERROR: "network",
  WS_ABORT: "network",
  WS_DISCONNECT: "network",
  WS_ERR: "network",
  SERVER_ERROR: "join",
};
let loading = null;

export class Agora {
  #say;
  #url;
  #chosen;
  #turn = 0;
  #sdk = null;
  #client = null;
  #camera = null;
  #microphone = null;
  // The user whose picture is played, and that picture once it is there.
  #shown = null;
  #track = null;

  /** `chosen()` gives the ids of the `camera` and the `microphone` that the user prefers, where there are such. */
  constructor(say, url, chosen) {
    this.#say = say;
    this.#url = url;
    this.#chosen = chosen;
  }

  async load(turn) {
    this.#turn = turn;
    await this.#try("load", async () => {
      this.#sdk = await sdkFrom(this.#url);
      if (!this.#sdk.checkSystemRequirements()) throw { code: "NOT_SUPPORTED" };
      this.#tell({ type: "loaded" }, turn);
    });
  }

  join({ grant, goal }) {
    const turn = this.#turn;
    return this.#try("join", async () => {
      const client = this.#sdk.createClient({ mode: "live", codec: "vp8" });
      this.#client = client;
      this.#listen(client, turn, goal);
      await (goal === "publish" ? client.setClientRole("host") : client.setClientRole("audience", AUDIENCE_LEVEL));
      await client.join(grant.app_id, grant.channel, grant.token, grant.uid);
      this.#tell({ type: "joined" }, turn);
      if (goal === "play") this.look();
    });
  }

  open() {
    const turn = this.#turn;
    return this.#try("denied", async () => {
      if (!isSecureContext) throw { code: "WEB_SECURITY_RESTRICT" };
      const encoderConfig = encodingOf(PORTRAIT.matches);
      const { cameraId, microphoneId } = await this.#preferred();
      const camera = await this.#sdk.createCameraVideoTrack({ encoderConfig, optimizationMode: "balanced", cameraId });
      // A show without sound is still one; without a picture it is not.
      const microphone = await this.#sdk.createMicrophoneAudioTrack({ AEC: true, ANS: true, AGC: true, microphoneId }).catch(() => null);
      if (turn !== this.#turn) return release(camera, microphone);
      [this.#camera, this.#microphone] = [camera, microphone];
      camera.on("track-ended", () => this.#tell({ type: "fault", code: "ended" }, turn));
      this.#tell({ type: "opened", stream: streamOf(camera), silent: !microphone }, turn);
    });
  }

  publish() {
    const turn = this.#turn;
    return this.#try("publish", async () => {
      this.#client.setLowStreamParameter(smallOf(PORTRAIT.matches));
      // Without it there is one stream less to choose from, and still a picture.
      await this.#client.enableDualStream().catch(() => {});
      await this.#client.publish([this.#camera, this.#microphone].filter(Boolean));
      this.#tell({ type: "published" }, turn);
    });
  }

  /** Looks for somebody whose picture is there. */
  look() {
    if (this.#track) this.#tell({ type: "track", stream: streamOf(this.#track) }, this.#turn);
    if (this.#shown !== null) return;
    const found = this.#client?.remoteUsers.find(({ hasVideo }) => hasVideo);
    if (found) this.#subscribe(found, "video", this.#turn);
  }

  /** Plays the sound, as browsers allow where somebody has just clicked. */
  hear() {
    this.#sdk.resumeAudioContext();
    for (const { audioTrack } of this.#client?.remoteUsers ?? []) audioTrack?.play();
  }

  camera({ on }) {
    return this.#try("ended", async () => {
      await this.#camera.setEnabled(on);
      if (on) this.#tell({ type: "preview", stream: streamOf(this.#camera) }, this.#turn);
    });
  }

  microphone({ on }) {
    this.#microphone?.setMuted(!on).catch(() => {});
  }

  /** Gives the devices as `{kind, id, label, used}`, of the kinds "camera" and "microphone". */
  async devices() {
    const [cameras, microphones] = await this.#found();
    return [...named("camera", cameras, this.#camera), ...named("microphone", microphones, this.#microphone)];
  }

  /** Takes the picture or the sound from another device; throws where that one cannot be used. */
  choose(kind, id) {
    return (kind === "camera" ? this.#camera : this.#microphone).setDevice(id);
  }

  renew({ grant }) {
    return this.#try("expired", () => this.#client.renewToken(grant.token));
  }

  encode({ portrait }) {
    // It is as good as the browser can make it already, where it cannot do that.
    this.#camera?.setEncoderConfiguration(encodingOf(portrait)).catch(() => {});
  }

  layer({ layer }) {
    if (this.#shown !== null) this.#client.setRemoteVideoStreamType(this.#shown, layer === "low" ? 1 : 0).catch(() => {});
  }

  leave() {
    this.#turn = 0;
    this.#shown = this.#track = null;
    release(this.#camera, this.#microphone);
    this.#camera = this.#microphone = null;
    const client = this.#client;
    this.#client = null;
    client?.removeAllListeners();
    client?.leave().catch(() => {});
  }

  /** Gives the cameras and the microphones; nobody is asked for them who was not already. */
  #found() {
    return Promise.all([this.#sdk.getCameras(true), this.#sdk.getMicrophones(true)]).catch(() => [[], []]);
  }

  /** Gives which of the preferred devices are there: to ask for one that is not would be to get none. */
  async #preferred() {
    const [cameras, microphones] = await this.#found();
    const { camera, microphone } = this.#chosen();
    const there = (devices, id) => (devices.some(({ deviceId }) => deviceId === id) ? id : undefined);
    return { cameraId: there(cameras, camera), microphoneId: there(microphones, microphone) };
  }

  #listen(client, turn, goal) {
    const tell = (input) => this.#tell(input, turn);
    client.on("connection-state-change", (state, before, reason) => {
      if (state === "RECONNECTING") tell({ type: "lost" });
      if (state === "CONNECTED" && before === "RECONNECTING") tell({ type: "found" });
      if (state === "DISCONNECTED" && reason && reason !== "LEAVE") tell(faultOf({ code: reason }, "network"));
    });
    client.on("token-privilege-will-expire", () => tell({ type: "expiring" }));
    client.on("token-privilege-did-expire", () => tell({ type: "fault", code: "expired" }));
    // Pictures play without having been asked for; sound may not.
    this.#sdk.onAutoplayFailed = () => this.#tell({ type: "silent", on: true }, this.#turn);
    if (goal === "play") this.#follow(client, turn);
  }

  /** Plays what others publish: the picture of one of them, and everyone's sound. */
  #follow(client, turn) {
    client.on("user-published", (user, kind) => this.#subscribe(user, kind, turn));
    client.on("user-unpublished", (user, kind) => {
      if (kind === "video" && user.uid === this.#shown) this.#lose(turn);
    });
    client.on("user-left", ({ uid }) => uid === this.#shown && this.#lose(turn));
    client.on("stream-fallback", (uid, what) => uid === this.#shown && this.#tell({ type: "sound", only: what === "fallback" }, turn));
    client.on("network-quality", ({ downlinkNetworkQuality: quality }) => {
      if (quality >= POOR_FROM) this.#tell({ type: "network", poor: true }, turn);
      else if (quality > 0 && quality <= GOOD_TO) this.#tell({ type: "network", poor: false }, turn);
    });
  }

  #lose(turn) {
    this.#shown = this.#track = null;
    this.#tell({ type: "untrack" }, turn);
    this.look();
  }

  #subscribe(user, kind, turn) {
    // One picture at a time; sound of everyone.
    if (kind === "video" && this.#shown !== null) return null;
    return this.#try("frames", async () => {
      const client = this.#client;
      if (kind === "video") this.#shown = user.uid;
      const track = await client.subscribe(user, kind);
      if (turn !== this.#turn) return;
      if (kind === "audio") {
        track.play();
        return;
      }
      // First to the small stream, then to sound alone: without a stream of that size it changes nothing.
      client.setStreamFallbackOption(user.uid, 2).catch(() => {});
      this.#track = track;
      track.on("track-updated", () => this.#tell({ type: "track", stream: streamOf(track) }, turn));
      this.#tell({ type: "track", stream: streamOf(track) }, turn);
    });
  }

  async #try(otherwise, act) {
    const turn = this.#turn;
    try {
      await act();
    } catch (error) {
      this.#tell(faultOf(error, otherwise), turn);
    }
  }

  #tell(input, turn) {
    if (turn === this.#turn && turn) this.#say({ ...input, turn });
  }
}

function faultOf({ code }, otherwise) {
  return { type: "fault", code: FAULTS[code] ?? otherwise };
}

function streamOf(track) {
  return new MediaStream([track.getMediaStreamTrack()]);
}

function named(kind, devices, track) {
  const used = track?.getMediaStreamTrack().getSettings().deviceId;
  return devices.map(({ deviceId: id, label }) => ({ kind, id, label, used: id === used }));
}

function release(...tracks) {
  for (const track of tracks) track?.close();
}

/** Gives Agora's SDK. What failed to load is loaded anew the next time. */
function sdkFrom(url) {
  loading ??= load(url).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

function load(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => {
      script.remove();
      if (!globalThis.AgoraRTC) return reject(new Error("no SDK"));
      globalThis.AgoraRTC.setLogLevel(WARNINGS);
      return resolve(globalThis.AgoraRTC);
    };
    script.onerror = () => {
      script.remove();
      reject(new Error("not loaded"));
    };
    document.head.append(script);
  });
}
