/** What `dial --help` says. */
import { describe, expect, it } from "vitest"
import { checkWords, commands } from "../../src/cli/arguments.js"
import { helpFor, options } from "../../src/cli/help.js"

const names = commands.map(({ name }) => name)

const help = (...words: ReadonlyArray<string>): string => helpFor(words) ?? ""

describe("the help", () => {
  it("is for an empty command line, and for one that asks for it, and for no other", () => {
    expect(help()).toBe(help("--help"))
    expect(help("trace", "-h")).toBe(help("trace", "example.com:80", "--help"))
    expect(helpFor(["trace", "example.com:80"])).toBeUndefined()
  })

  it("names every command", () => {
    for (const name of names) expect(help()).toContain(`  dial ${name}`)
  })

  it.each(commands)("of $name tells each of its options and nothing else", ({ name, options: taken }) => {
    const told = [...help(name, "--help").matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option)
    expect(told).toEqual(Object.keys(taken))
    for (const option of Object.keys(taken)) {
      const [value, text] = options[option] ?? []
      expect(text, option).toBeTruthy()
      expect(value === undefined, option).toBe(taken[option] === undefined)
    }
  })

  it.each(names)("of %s has examples that can be typed", (name) => {
    const examples = [...help(name, "--help").matchAll(/^ +dial ([^[\n<]+?)(?: <.*)?$/gm)].flatMap(([, line]) =>
      line === undefined ? [] : [line.split(" ")]
    )
    expect(examples.length).toBeGreaterThan(0)
    for (const words of examples) expect(checkWords(words), words.join(" ")).toMatchObject({ _tag: "Right" })
  })

  it("fits 80 columns", () => {
    for (const page of [help(), ...names.map((name) => help(name, "--help"))]) {
      expect(page.split("\n").filter((line) => line.length > 80)).toEqual([])
    }
  })
})
