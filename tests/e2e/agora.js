/**
 * Stands in for Agora's Web SDK, as far as the studio uses it: without a network, and with `agora` for the test to say what happens.
 *
 * `agora.calls` has what was asked of it, in order. What is to fail is named in `agora.failing`, by the call and with
 * the SDK's code; a page may name it in `failing` before this is loaded.
 */
(() => {
  const calls = [];
  const failing = { ...window.failing };

  function did(name, ...details) {
    calls.push([name, ...details]);
    if (failing[name]) throw Object.assign(new Error(failing[name]), { code: failing[name] });
  }

  class Emitter {
    #listeners = new Map();

    on(type, listener) {
      this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
    }

    emit(type, ...details) {
      for (const listener of this.#listeners.get(type) ?? []) listener(...details);
    }

    removeAllListeners() {
      this.#listeners.clear();
    }
  }

  // The devices there are, by the id that a track of each has.
  const devices = (kind) => ["1", "2"].map((number) => ({ deviceId: kind + number, label: `${kind} ${number}` }));

  class VideoTrack extends Emitter {
    #canvas = document.createElement("canvas");
    #turn = 0;

    constructor(width, height, deviceId = "camera1") {
      super();
      this.deviceId = deviceId;
      Object.assign(this.#canvas, { width, height });
      this.context = this.#canvas.getContext("2d");
      this.stream = this.#canvas.captureStream(20);
      this.getMediaStreamTrack().getSettings = () => ({ deviceId: this.deviceId });
      this.move(true);
    }

    move(on) {
      clearInterval(this.drawing);
      if (on) this.drawing = setInterval(() => this.draw(), 50);
    }

    draw() {
      this.context.fillStyle = `hsl(${(this.#turn += 7) % 360} 70% 50%)`;
      this.context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    }

    turn() {
      const { width, height } = this.#canvas;
      Object.assign(this.#canvas, { width: height, height: width });
      this.draw();
    }

    getMediaStreamTrack() {
      return this.stream.getVideoTracks()[0];
    }

    async setDevice(id) {
      did("setDevice", id);
      this.deviceId = id;
    }

    async setEnabled(on) {
      did("setEnabled", on);
      this.move(on);
    }

    async setEncoderConfiguration({ width, height }) {
      did("encode", width, height);
    }

    close() {
      this.move(false);
      for (const track of this.stream.getTracks()) track.stop();
    }
  }

  class AudioTrack {
    constructor(deviceId = "microphone1") {
      this.deviceId = deviceId;
    }

    getMediaStreamTrack() {
      return { getSettings: () => ({ deviceId: this.deviceId }) };
    }

    async setDevice(id) {
      did("setDevice", id);
      this.deviceId = id;
    }

    async setMuted(muted) {
      did("setMuted", muted);
    }

    play() {
      did("hear");
    }

    close() {}
  }

  class Client extends Emitter {
    remoteUsers = [];

    async setClientRole(role) {
      did("role", role);
    }

    async join(app, channel, token, uid) {
      did("join", app, channel, token, uid);
      agora.client = this;
      if (agora.remote) this.remoteUsers.push(agora.remote);
    }

    async publish(tracks) {
      did("publish", tracks.length);
    }

    async subscribe(user, kind) {
      did("subscribe", kind);
      return kind === "video" ? user.videoTrack : user.audioTrack;
    }

    async renewToken(token) {
      did("renew", token);
    }

    async setStreamFallbackOption(_, option) {
      did("fallback", option);
    }

    async setRemoteVideoStreamType(_, type) {
      did("layer", type);
    }

    async enableDualStream() {
      did("dual");
    }

    setLowStreamParameter() {}

    async leave() {
      did("leave");
    }
  }

  window.agora = {
    calls,
    failing,
    client: null,
    camera: null,
    remote: null,
    /** The host's picture and sound come, as wide as that. */
    publish(width = 640, height = 360) {
      const user = { uid: 7, hasVideo: true, hasAudio: true, videoTrack: new VideoTrack(width, height), audioTrack: new AudioTrack() };
      this.remote = user;
      this.client.remoteUsers = [user];
      this.client.emit("user-published", user, "audio");
      this.client.emit("user-published", user, "video");
    },
    /** The host's picture goes. */
    unpublish() {
      const user = this.remote;
      this.remote = null;
      this.client.remoteUsers = [];
      user?.videoTrack.close();
      if (user) this.client.emit("user-unpublished", user, "video");
    },
    emit(type, ...details) {
      this.client.emit(type, ...details);
    },
    quality(level) {
      this.emit("network-quality", { uplinkNetworkQuality: level, downlinkNetworkQuality: level });
    },
  };

  window.AgoraRTC = {
    setLogLevel() {},
    resumeAudioContext() {},
    checkSystemRequirements: () => !failing.system,
    createClient: () => new Client(),
    getCameras: async () => devices("camera"),
    getMicrophones: async () => devices("microphone"),
    async createCameraVideoTrack({ encoderConfig: { width, height }, cameraId }) {
      did("camera", width, height);
      agora.camera = new VideoTrack(width, height, cameraId);
      return agora.camera;
    },
    async createMicrophoneAudioTrack({ microphoneId }) {
      did("microphone");
      return new AudioTrack(microphoneId);
    },
  };
})();
