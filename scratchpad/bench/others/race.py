"""asyncio, anyio or Twisted in the benchmark `races`: reads a race a line, dials it, and writes what became of it.

All three ask getaddrinfo, in a thread, which cannot be pointed at a name server. Here each is given the addresses of
both families when getaddrinfo would have them: after the later answer of the script, and after ten seconds where one
never comes (two tries of five seconds, the defaults of resolv.conf). That is in their favour: nothing is asked.
"""

import json
import os
import socket
import sys
import threading
import time

NEVER = 10.0


def resolved(race):
    """Seconds until getaddrinfo would answer, and its addresses in order."""
    kinds = {"inet": race["A"], "inet6": race["AAAA"]}
    delays = [NEVER if kind["delay"] == "never" else kind["delay"] / 1000 for kind in kinds.values()]
    hosts = [host for family in race["families"] for host in kinds[family]["addresses"]]
    return max(delays), hosts


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def tell(race, connected, begun):
    millis = (time.perf_counter() - begun) * 1000
    print(json.dumps({"id": race["id"], "connected": connected, "millis": millis}), flush=True)


def each_race(then):
    """Calls `then` with each race, in a thread that ends the process with its input."""

    def read():
        for line in sys.stdin:
            then(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()


def on_asyncio(dial):
    """Runs `await dial(race)`, which returns how to close it, over a loop whose getaddrinfo is the script's."""
    import asyncio

    races = {}

    async def getaddrinfo(host, port, *, family=0, type=0, proto=0, flags=0):
        # anyio has it encoded.
        race = races[host.decode() if isinstance(host, bytes) else host]
        delay, hosts = resolved(race)
        if delay > 0:
            await asyncio.sleep(delay)
        return [(family_of(host), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)) for host in hosts]

    async def run(race):
        begun = time.perf_counter()
        try:
            close = await dial(race)
        except OSError:
            return tell(race, False, begun)
        tell(race, True, begun)
        await close()

    async def main():
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = getaddrinfo
        running = set()

        def begin(race):
            races[race["name"]] = race
            task = loop.create_task(run(race))
            running.add(task)
            task.add_done_callback(running.discard)

        each_race(lambda race: loop.call_soon_threadsafe(begin, race))
        await asyncio.Event().wait()

    asyncio.run(main())


def with_asyncio():
    import asyncio

    async def dial(race):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            asyncio.Protocol, race["name"], race["port"], happy_eyeballs_delay=0.25
        )

        async def close():
            transport.abort()

        return close

    on_asyncio(dial)


def with_anyio():
    import anyio

    async def dial(race):
        stream = await anyio.connect_tcp(race["name"], race["port"])
        return stream.aclose

    on_asyncio(dial)


def with_twisted():
    from twisted.internet import reactor
    from twisted.internet.address import IPv4Address, IPv6Address
    from twisted.internet.endpoints import HostnameEndpoint
    from twisted.internet.interfaces import IHostResolution, IHostnameResolver
    from twisted.internet.protocol import Factory, Protocol
    from zope.interface import implementer

    races = {}

    @implementer(IHostResolution)
    class Resolution:
        def __init__(self, name):
            self.name = name

        def cancel(self):
            pass

    @implementer(IHostnameResolver)
    class Script:
        def resolveHostName(self, receiver, hostName, portNumber=0, addressTypes=None, transportSemantics="TCP"):
            receiver.resolutionBegan(Resolution(hostName))
            delay, hosts = resolved(races[hostName])

            def answer():
                for host in hosts:
                    address = IPv6Address if ":" in host else IPv4Address
                    receiver.addressResolved(address("TCP", host, portNumber))
                receiver.resolutionComplete()

            reactor.callLater(delay, answer)
            return receiver

    def begin(race):
        races[race["name"]] = race
        begun = time.perf_counter()

        def connected(protocol):
            tell(race, True, begun)
            protocol.transport.abortConnection()

        endpoint = HostnameEndpoint(reactor, race["name"], race["port"])
        endpoint.connect(Factory.forProtocol(Protocol)).addCallbacks(connected, lambda _: tell(race, False, begun))

    reactor.installNameResolver(Script())
    reactor.callWhenRunning(each_race, lambda race: reactor.callFromThread(begin, race))
    reactor.run()


{"asyncio": with_asyncio, "anyio": with_anyio, "twisted": with_twisted}[sys.argv[1]]()
