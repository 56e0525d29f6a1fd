// One contender, one round: runs `client.mjs BENCH CONTENDER PORTS` and sends its parent what it measured.
const [name, contender, ports] = process.argv.slice(2)
const { default: bench } = await import(`./benches/${name}.mjs`)
// Said by a contender that from here on only waits: the next one may begin.
const onlyWaits = () => process.send({ onlyWaits: true })
process.send(await bench.contenders[contender](JSON.parse(ports), onlyWaits), () => process.exit())
