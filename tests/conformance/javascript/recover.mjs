// What bob's client does in a transcript for clients: node recover.mjs CLIENT URL SESSION
import WebSocket from 'ws'

const [client, url, session] = process.argv.slice(2)
const { Stagewire } = await import(client)

const live = new Stagewire(url, {
  WebSocket,
  token: async () => 'whatever',
  // The shortest of all waits between attempts.
  random: () => 0,
})
await live.connect()
const show = await live.join(session)
show.on('chat', ({ by, text }) => {
  if (by === 'alice' && text === 'Say that again?') show.send('Again')
})
show.send('Hello')
live.on('state', ({ name, code }) => {
  if (name !== 'failed') return
  console.log(JSON.stringify({ code, shown: show.messages.map((message) => message.text) }))
  live.close()
})
