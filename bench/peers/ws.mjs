// A chat room on ws: `node ws.mjs PORT`. Each message is encoded once, into the bytes that `send` frames for each.
import { WebSocketServer } from "ws";

const members = new Set();
let seq = 0;

function take(socket, message) {
  if (message.type === "join") {
    members.add(socket);
    socket.send('{"type":"joined"}');
    return;
  }
  seq += 1;
  const { user, text } = message;
  const event = Buffer.from(JSON.stringify({ type: "event", seq, at: Date.now(), user, text }));
  for (const member of members) member.send(event, { binary: false });
}

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
  clientTracking: false,
});

server.on("connection", (socket) => {
  socket.on("message", (data) => take(socket, JSON.parse(data)));
  socket.on("close", () => members.delete(socket));
  socket.on("error", () => socket.terminate());
});
