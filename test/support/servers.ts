/**
 * The servers that clients of Node are made for, each as a daemon of a test (`daemons.ts`): at a plain and a TLS port of
 * 127.0.0.1, which for some are the same one. What is written is there after a `kill` and a `restart`.
 */
import { Effect, type Scope } from "effect"
import * as net from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { certificates } from "./certificates.js"
import * as Daemons from "./daemons.js"

export interface Server extends Daemons.Daemon {
  readonly port: number
  /** Where TLS is spoken: from the first byte, or when the client asks. */
  readonly tlsPort: number
  /** PEM: the root above its certificate, which is for `db.test`, `localhost` and 127.0.0.1. */
  readonly authority: string
}

/** A kind of server: what has to be installed, and how one is started. */
export interface Kind {
  readonly programs: ReadonlyArray<Daemons.Program>
  readonly start: Effect.Effect<Server, never, Scope.Scope>
}

const kind = (options: {
  readonly program: Daemons.Program
  readonly tools?: ReadonlyArray<Daemons.Program>
  /** One when TLS has none of its own. */
  readonly ports: 1 | 2
  readonly at: (at: {
    readonly port: number
    readonly tlsPort: number
    readonly file: (name: string) => string
  }) => Daemons.Start
}): Kind => ({
  programs: [options.program, ...options.tools ?? []],
  start: Effect.gen(function*() {
    const portsOf = ({ ports: [port, tlsPort = port] }: Daemons.Place) => ({ port, tlsPort })
    const at = (place: Daemons.Place) => {
      const start = options.at({ ...portsOf(place), file: (name) => path.join(place.directory, name) })
      return { ...start, files: { ...certificateFiles, ...start.files } }
    }
    const daemon = yield* Daemons.start(options.program, at, { ports: options.ports })
    return { ...daemon, ...portsOf(daemon), authority: certificates.root.certificate }
  })
})

/** With the intermediate that signed it, as servers on the net have it. */
const certificateFiles = {
  "authority.pem": certificates.root.certificate,
  "certificate.pem": certificates.chained.certificate,
  "key.pem": certificates.chained.key
}

/** Say this to the server, if anything, and see that the first it says is right. */
const answers = (port: number, said: string, right: (heard: string) => boolean): Effect.Effect<void, Error> =>
  Effect.async((resume) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(said, "latin1"))
    socket.setEncoding("latin1")
    socket.once("error", (error) => resume(Effect.fail(error)))
    socket.once("close", () => resume(Effect.fail(new Error("it hung up"))))
    socket.once("data", (heard: string) => {
      resume(right(heard) ? Effect.void : Effect.fail(new Error(`it said ${JSON.stringify(heard)}`)))
      socket.destroy()
    })
    return Effect.sync(() => socket.destroy())
  })

// -----------------------------------------------------------------------------
// the servers
// -----------------------------------------------------------------------------

const postgresPackage = { package: "postgresql-15", directories: ["/usr/lib/postgresql/15/bin"], unprivileged: true }
const initdb: Daemons.Program = { name: "initdb", ...postgresPackage }

/** PostgreSQL with one user, `postgres`, without a password. TLS on request, at the same port. */
export const postgres = kind({
  program: { name: "postgres", ...postgresPackage },
  tools: [initdb],
  ports: 1,
  at: ({ file, port }) => ({
    // What is safe against a crash of the machine costs seconds, and no test crashes it.
    prepare: [[initdb, "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]],
    arguments: [
      "-D",
      "data",
      ...settings({
        listen_addresses: "127.0.0.1",
        port: String(port),
        unix_socket_directories: "",
        fsync: "off",
        ssl: "on",
        ssl_cert_file: file("certificate.pem"),
        ssl_key_file: file("key.pem")
      })
    ],
    // Its processes are sessions of their own.
    kill: "QUIT",
    // A StartupMessage of protocol 3.0; "R" says that the user is in, "E" that the server still starts.
    ready: answers(port, "\0\0\0\x17\0\x03\0\0user\0postgres\0\0", (heard) => heard.startsWith("R"))
  })
})

const settings = (values: { readonly [name: string]: string }): ReadonlyArray<string> =>
  Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`])

const installDb: Daemons.Program = { name: "mariadb-install-db", package: "mariadb-server-core", unprivileged: true }
const printDefaults: Daemons.Program = { name: "my_print_defaults", package: "mariadb-client-core" }

/** MariaDB with one user, `root`, without a password, and one database, `test`. TLS on request, at the same port. */
export const mariadb = kind({
  program: { name: "mariadbd", package: "mariadb-server-core", unprivileged: true },
  tools: [installDb, printDefaults],
  ports: 1,
  at: ({ file, port }) => ({
    prepare: [[
      installDb,
      "--no-defaults",
      `--datadir=${file("data")}`,
      "--auth-root-authentication-method=normal",
      "--innodb-flush-log-at-trx-commit=0"
    ]],
    arguments: [
      "--no-defaults",
      `--datadir=${file("data")}`,
      `--socket=${file("socket")}`,
      `--pid-file=${file("pid")}`,
      "--bind-address=127.0.0.1",
      `--port=${port}`,
      // Without it the user of 127.0.0.1 is looked up as `localhost`, by DNS.
      "--skip-name-resolve",
      "--innodb-flush-log-at-trx-commit=2",
      `--ssl-cert=${file("certificate.pem")}`,
      `--ssl-key=${file("key.pem")}`
    ],
    // It speaks first; the length of what it says varies, and version 10 of the protocol does not.
    // It speaks first: the length, the number of the packet, and the version of the protocol.
    ready: answers(port, "", (heard) => heard.slice(3, 5) === "\0\n")
  })
})

/** Redis, which keeps what it is told. */
export const redis = kind({
  program: { name: "redis-server", package: "redis-server", unprivileged: true },
  ports: 2,
  at: ({ port, tlsPort }) => ({
    arguments: ["redis.conf"],
    files: {
      "redis.conf": `
bind 127.0.0.1
port ${port}
tls-port ${tlsPort}
tls-cert-file certificate.pem
tls-key-file key.pem
tls-ca-cert-file authority.pem
tls-auth-clients no
save ""
appendonly yes
appendfsync no
`
    },
    ready: answers(port, "PING\r\n", (heard) => heard === "+PONG\r\n")
  })
})

/**
 * nginx: what is PUT at a path can be fetched from it, and `/websocket/PORT` is handed on to that port of 127.0.0.1. TLS
 * at its own port, where a client can have HTTP/2. The header `protocol` of an answer says which HTTP was spoken.
 */
export const nginx = kind({
  program: { name: "nginx", package: "nginx", unprivileged: true },
  ports: 2,
  at: ({ file, port, tlsPort }) => ({
    arguments: ["-p", file(""), "-c", "nginx.conf", "-e", "stderr"],
    files: { "nginx.conf": nginxConf(port, tlsPort) },
    ready: answers(port, "HEAD / HTTP/1.0\r\n\r\n", (heard) => heard.startsWith("HTTP/"))
  })
})

const nginxConf = (port: number, tlsPort: number): string => `
daemon off;
pid pid;
error_log stderr;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${tlsPort} ssl http2;
    ssl_certificate certificate.pem;
    ssl_certificate_key key.pem;
    client_max_body_size 16m;
    root files;
    location / {
      dav_methods PUT;
      create_full_put_path on;
      add_header protocol $server_protocol;
    }
    location ~ ^/websocket/(?<backend>[0-9]+)$ {
      proxy_pass http://127.0.0.1:$backend/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}
`

/** mosquitto, which keeps the sessions of its clients. */
export const mosquitto = kind({
  program: { name: "mosquitto", package: "mosquitto", unprivileged: true },
  ports: 2,
  at: ({ file, port, tlsPort }) => ({
    arguments: ["-c", "mosquitto.conf"],
    files: {
      "mosquitto.conf": `
allow_anonymous true
persistence true
persistence_location ${file("")}
autosave_on_changes true
autosave_interval 1
listener ${port} 127.0.0.1
listener ${tlsPort} 127.0.0.1
cafile ${file("authority.pem")}
certfile ${file("certificate.pem")}
keyfile ${file("key.pem")}
`
    },
    // CONNECT without an identifier, and CONNACK with code 0.
    ready: answers(port, "\x10\x0c\0\x04MQTT\x04\x02\0\x05\0\0", (heard) => heard === "\x20\x02\0\0")
  })
})

/** An SMTP server that prints every mail as a line of JSON: `{ secure, mail }`. STARTTLS, and TLS at its own port. */
export const smtp = kind({
  program: { name: "node", package: "nodejs", directories: [path.dirname(process.execPath)] },
  ports: 2,
  at: ({ file, port, tlsPort }) => ({
    arguments: [smtpSink, String(port), String(tlsPort), file("certificate.pem"), file("key.pem")],
    ready: answers(port, "", (heard) => heard.startsWith("220 "))
  })
})

const smtpSink = fileURLToPath(new URL("smtpSink.mjs", import.meta.url))
