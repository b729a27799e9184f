// A chat room on Socket.IO: `node socketio.mjs PORT`. `emit` to a room encodes and frames a message once for all.
import { createServer } from "node:http";
import { Server } from "socket.io";

const ROOM = "bench";
// Longer than any run: heartbeats are not what is measured.
const NEVER_MS = 3_600_000;
let seq = 0;

const http = createServer();
const server = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  pingInterval: NEVER_MS,
  pingTimeout: NEVER_MS,
});

server.on("connection", (socket) => {
  socket.on("join", (joined) => {
    socket.join(ROOM);
    joined("joined");
  });
  socket.on("chat", ({ user, text }) => {
    seq += 1;
    server.to(ROOM).emit("event", { type: "event", seq, at: Date.now(), user, text });
  });
});

http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
