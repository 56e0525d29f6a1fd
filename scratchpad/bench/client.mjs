// One contender, one round: runs `client.mjs BENCH CONTENDER PORTS` and sends its parent what it measured.
const [name, contender, ports] = process.argv.slice(2)
const { default: bench } = await import(`./benches/${name}.mjs`)
process.send(await bench.contenders[contender](JSON.parse(ports)), () => process.exit())
