import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { beforeAll, expect, it } from "vitest"
import { isBuilt } from "../.ci/build.mjs"

const soak = fileURLToPath(new URL("../scratchpad/soak/main.mjs", import.meta.url))

beforeAll(() => {
  if (!isBuilt()) throw new Error("the soak uses the built package, and dist is older than src: run `pnpm build`")
})

it.runIf(process.platform === "linux")(
  "dials interrupted at random moments leave no descriptor, pending connect, timer or fiber, here or at the server",
  async () => {
    const run = promisify(execFile)(process.execPath, [soak, "--dials", "800", "--seconds", "50"])
    const { code, stdout } = await run.then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { readonly code: unknown; readonly stdout: string }) => error
    )
    expect(stdout).not.toContain("FAILED")
    expect(code).toBe(0)
    expect(stdout.match(/^ok /gm)).toHaveLength(7)
  },
  60_000
)
