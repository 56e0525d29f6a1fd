// pnpm bench [NAME...] [--rounds N]
//
// In every round each contender runs once, in a process of its own (its JIT, its heap, its warm-up), one after another:
// A B C, A B C, ... The server is another process again. A figure is the median of the rounds with the middle half of
// them beside it; a ratio is the median of the ratios within each round, so that what slowed a whole round cancels out.
import { fork } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { median, summary, summaryOrWords } from "./measure.mjs"

const all = [
  "dial",
  "dial-two",
  "hold",
  "names",
  "read",
  "write",
  "pingpong",
  "http",
  "postgres",
  "races",
  "tls-dial",
  "tls-many",
  "tls-read",
  "tls-write"
]
const resultsFile = new URL("results/results.json", import.meta.url)
const roundLimit = 120_000

const { positionals, values } = parseArgs({ options: { rounds: { type: "string" } }, allowPositionals: true })
const unknown = positionals.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`unknown benchmark ${unknown.join(", ")}: there are ${all.join(", ")}`)
  process.exit(2)
}

/** The next message of a child, or an error when it ends or takes too long without one. */
const message = (child) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      reject(new Error(`no answer within ${roundLimit / 1000} s from ${child.spawnargs.join(" ")}`))
    }, roundLimit)
    const ended = (code) => reject(new Error(`exit code ${code} of ${child.spawnargs.join(" ")}`))
    child.once("exit", ended)
    child.once("message", (value) => {
      clearTimeout(timer)
      child.off("exit", ended)
      resolve(value)
    })
  })

const round = async (name, env, contender, ports) => {
  const client = fork(new URL("client.mjs", import.meta.url), [name, contender, JSON.stringify(ports)], {
    execArgv: ["--expose-gc"],
    env: { ...process.env, ...env }
  })
  const gone = new Promise((resolve) => client.once("exit", resolve))
  const figures = await message(client)
  // Not awaited where it only waits on: what it measured then is in `late`.
  if (figures.onlyWaits) return { late: Promise.all([message(client), gone]).then(([figures]) => figures) }
  await gone
  return { late: figures }
}

const measure = async (name, bench, rounds) => {
  const server = fork(new URL(bench.server ?? "server.mjs", import.meta.url))
  const gone = new Promise((resolve) => server.once("exit", resolve))
  try {
    const { ports } = await message(server)
    const figures = Object.fromEntries(Object.keys(bench.contenders).map((contender) => [contender, []]))
    for (let i = 0; i < rounds; i++) {
      for (const contender of Object.keys(bench.contenders)) {
        figures[contender].push((await round(name, bench.env, contender, ports)).late)
        server.send("idle?")
        await message(server)
      }
      if (process.stderr.isTTY) process.stderr.write(`\r${name}: round ${i + 1} of ${rounds} `)
    }
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
    for (const contender of Object.keys(figures)) figures[contender] = await Promise.all(figures[contender])
    return figures
  } finally {
    server.disconnect()
    await gone
  }
}

const ratio = (figures, { contender, metric, over }) =>
  median(figures[contender].map((round, i) => round[metric] / figures[over][i][metric]))

const difference = (figures, { contender, metric, over }) =>
  median(figures[contender].map((round, i) => round[metric] - figures[over][i][metric]))

const judge = (bench, figures) =>
  bench.goals.map((goal) => {
    const { atLeast, atMost, contender, metric, over } = goal
    const value = goal.difference ? difference(figures, goal) : ratio(figures, goal)
    return {
      contender,
      metric,
      over,
      goal: [
        atMost === undefined ? "at least" : "at most",
        goal.difference ? `${atMost} more` : `${atMost ?? atLeast} times`
      ].join(" "),
      measured: value,
      reached: atMost === undefined ? value >= atLeast : value <= atMost
    }
  })

const print = (bench, figures, goals, rounds) => {
  const baseline = Object.keys(bench.contenders)[0]
  console.log(`\n${bench.title} (${rounds} rounds: median [middle half])`)
  for (const [metric, { digits, unit }] of Object.entries(bench.metrics)) {
    console.log(`  ${unit}`)
    for (const contender of Object.keys(figures)) {
      const { high, low, median } = summary(figures[contender].map((round) => round[metric]))
      const [middle, from, to] = [median, low, high].map((n) => n.toFixed(digits))
      const times = ratio(figures, { contender, metric, over: baseline }).toFixed(2)
      console.log(
        `    ${contender.padEnd(22)} ${middle.padStart(10)}  ${`[${from} - ${to}]`.padEnd(22)} ${times}x ${baseline}`
      )
    }
  }
  for (const { contender, goal, measured, metric, over, reached } of goals) {
    const value = `${measured.toFixed(Math.abs(measured) < 100 ? 2 : 0)} (${goal})`
    console.log(
      `  ${reached ? "ok         " : "not reached"}  ${bench.metrics[metric].unit}: ${contender} to ${over} ${value}`
    )
  }
}

/** A row for each metric and a column for each contender, which may have told in words why it has no figure. */
const printTable = ({ contenders, metrics, table, title }, figures, rounds) => {
  const cell = (contender, metric) => {
    const { max, median, words } = summaryOrWords(figures[contender].map((round) => round[metric]))
    const { digits } = metrics[metric]
    return words ?? `${median.toFixed(digits)} (${max.toFixed(digits)})`
  }
  const names = Object.keys(contenders)
  const lines = [
    [table.unit, table.row, ...names],
    ...Object.keys(metrics).map((metric, i) => [
      metric,
      String(table.rows[i]),
      ...names.map((name) => cell(name, metric))
    ])
  ]
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)))
  console.log(`\n${title} (${rounds} rounds)`)
  for (const [first, ...cells] of lines) {
    console.log(`  ${[first.padEnd(widths[0]), ...cells.map((cell, i) => cell.padStart(widths[i + 1]))].join("  ")}`)
  }
}

const previous = () => {
  try {
    return JSON.parse(readFileSync(resultsFile, "utf8"))
  } catch {
    return {}
  }
}

for (const name of positionals.length > 0 ? positionals : all) {
  const { default: bench } = await import(`./benches/${name}.mjs`)
  const rounds = Number(values.rounds ?? bench.rounds)
  const figures = await measure(name, bench, rounds)
  const goals = judge(bench, figures)
  if (bench.table) printTable(bench, figures, rounds)
  else print(bench, figures, goals, rounds)
  const contenders = Object.fromEntries(
    Object.entries(figures).map(([contender, rounds]) => [
      contender,
      Object.fromEntries(Object.keys(bench.metrics).map((m) => [m, summaryOrWords(rounds.map((round) => round[m]))]))
    ])
  )
  const results = {
    ...previous(),
    [name]: {
      title: bench.title,
      node: process.version,
      platform: `${process.platform} ${process.arch}, ${availableParallelism()} CPUs`,
      rounds,
      units: Object.fromEntries(Object.entries(bench.metrics).map(([metric, { unit }]) => [metric, unit])),
      contenders,
      goals
    }
  }
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`)
}
