/**
 * Checks the examples of the documentation: every `ts` fence of a Markdown file or a doc comment, and every program of
 * scratchpad/examples, is compiled against the built package and then run. A fence opened with `ts no-run` is only
 * compiled.
 */
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Example {
  /** Where its fence opens, as `file:line`; of a program, its file. */
  readonly at: string
  readonly file: string
  /** The code under as many empty lines as stand above it in its file, so a compiler's line is the file's line. */
  readonly code: string
  readonly run: boolean
}

const fences = (file: string, lines: ReadonlyArray<string>): ReadonlyArray<Example> => {
  const opened = lines.findIndex((line) => /^```ts( no-run)?\s*$/.test(line))
  if (opened === -1) return []
  const length = lines.slice(opened + 1).findIndex((line) => /^```\s*$/.test(line))
  if (length === -1) throw new Error(`${file}:${opened + 1}: this fence is never closed`)
  const closed = opened + 1 + length
  const blank = (count: number): ReadonlyArray<string> => Array.from({ length: count }, () => "")
  const example: Example = {
    at: `${file}:${opened + 1}`,
    file,
    code: [...blank(opened + 1), ...lines.slice(opened + 1, closed), ""].join("\n"),
    run: !lines[opened]!.includes("no-run")
  }
  return [example, ...fences(file, [...blank(closed + 1), ...lines.slice(closed + 1)])]
}

/** The text of the doc comments at its own lines and nothing else: ` * code` is `code`. */
const docComments = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const starts = lines.map((line) => /^\s*\/\*\*/.test(line))
  const ends = lines.map((line) => line.includes("*/"))
  const inside = lines.map((_, index) => {
    const start = starts.lastIndexOf(true, index)
    const end = start === -1 ? -1 : ends.indexOf(true, start)
    return start !== -1 && (end === -1 || index <= end)
  })
  return lines.map((line, index) => inside[index] ? line.replace(/^\s*(?:\/\*\*|\*\/|\* ?)/, "") : "")
}

const programs = "scratchpad/examples"

/** The examples of one file, given relative to the root. */
export const examplesOf = (file: string): ReadonlyArray<Example> => {
  const code = readFileSync(join(root, file), "utf8")
  if (file.startsWith(programs)) return [{ at: file, file, code, run: true }]
  const lines = code.split("\n")
  return fences(file, file.endsWith(".md") ? lines : docComments(lines))
}

const sourcesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `${folder}/${file}`)
    .toSorted()

/** Every file that may hold an example; the recipes, each of which needs a server, are for test/recipes to run. */
export const documented = (): ReadonlyArray<string> => [
  "README.md",
  ...sourcesIn("src"),
  ...sourcesIn(programs).filter((file) => !file.startsWith(`${programs}/recipes/`))
]

/** What is wrong with each example that is wrong, by its `at`. */
export type Problems = ReadonlyMap<string, string>

const compile = (folder: string, examples: ReadonlyArray<Example>): Problems => {
  const sources = examples.map((_, index) => join(folder, `${index}.ts`))
  examples.forEach((example, index) => writeFileSync(sources[index]!, example.code))
  const configFile = join(root, "tsconfig.json")
  const config = ts.parseJsonConfigFileContent(ts.readConfigFile(configFile, ts.sys.readFile).config, ts.sys, root)
  const program = ts.createProgram(sources, {
    ...config.options,
    noEmit: false,
    outDir: folder,
    rootDir: folder,
    // An example may name a thing only to show it.
    noUnusedLocals: false
  })
  program.emit()
  return new Map(examples.flatMap((example, index) => {
    const source = program.getSourceFile(sources[index]!)
    const messages = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
      .map(({ file, messageText, start }) => {
        const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
        return `${example.file}:${line}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
      })
    return messages.length === 0 ? [] : [[example.at, messages.join("\n")] as const]
  }))
}

const driver = fileURLToPath(new URL("example-driver.mjs", import.meta.url))

/** Runs scripts one after another in one process; when one takes the process down, a new one goes on behind it. */
const runAll = async (scripts: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  if (scripts.length === 0) return []
  const [reports, output] = await new Promise<readonly [string, string]>((resolve, reject) => {
    const child = spawn(process.execPath, [driver, ...scripts], { stdio: ["ignore", "pipe", "pipe", "pipe"] })
    const texts = [1, 2, 3].map((fd) => {
      const chunks: Array<Buffer> = []
      child.stdio[fd]!.on("data", (chunk: Buffer) => chunks.push(chunk))
      return () => Buffer.concat(chunks).toString()
    })
    child.on("error", reject)
    child.on("close", () => resolve([texts[2]!(), texts[1]!()]))
  })
  const lines = reports.split("\n").filter((line) => line !== "").map((line): string | null => JSON.parse(line))
  const done = lines.filter((line) => line !== null)
  if (done.length === scripts.length) return done
  // One that started and did not report took the process down; one that hung has reported, and the next has not started.
  const settled = lines.at(-1) === null || lines.length === 0 ? [...done, `it ended the process\n${output}`] : done
  return [...settled, ...await runAll(scripts.slice(settled.length))]
}

/** Compiles all examples in one program, then runs those that compile and are to run, half in each of two processes. */
export const check = async (name: string, examples: ReadonlyArray<Example>): Promise<Problems> => {
  // Inside the package, so that "effect-dial" means this package and "effect" the one it is tested with.
  const folder = join(root, "test", ".tmp", name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  try {
    const problems = compile(folder, examples)
    const toRun = examples.flatMap(({ at, run }, index) =>
      run && !problems.has(at) ? [{ at, script: join(folder, `${index}.js`) }] : []
    )
    const half = Math.ceil(toRun.length / 2)
    const scripts = toRun.map(({ script }) => script)
    const results = (await Promise.all([runAll(scripts.slice(0, half)), runAll(scripts.slice(half))])).flat()
    const failed = toRun.flatMap(({ at }, index) =>
      results[index] === "" ? [] : [[at, `${at}: ${results[index]}`] as const]
    )
    return new Map([...problems, ...failed])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
