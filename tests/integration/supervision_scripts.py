"""Programs for the processes of the supervision tests; each runs in the directory of its test."""

from typing import Final

WORKER: Final = """
import json, os, selectors, signal, socket, subprocess, sys, time
from pathlib import Path

settings = json.loads(sys.stdin.readline())
mood = Path(f"mood-{settings['place']}").read_text()
stopping = False

def note(what):
    with Path("notes").open("a") as notes:
        notes.write(json.dumps([settings["place"], os.getpid(), what]) + "\\n")

def stop(*_):
    global stopping
    note("SIGTERM")
    stopping = mood != "deaf"

def serve():
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return  # another worker was quicker
    with connection, connection.makefile("rwb") as stream:
        connection.settimeout(30)
        if stream.readline() == b"who?\\n":
            stream.write(f"{os.getpid()}\\n".encode())

signal.signal(signal.SIGINT, lambda *_: note("SIGINT"))
signal.signal(signal.SIGTERM, stop)
note("started")
if mood.startswith("exit"):
    sys.exit(int(mood.split()[1]))
if mood == "parent":
    subprocess.Popen(["sleep", "60"])

woken, waking = socket.socketpair()
waking.setblocking(False)
signal.set_wakeup_fd(waking.fileno())
listener = socket.socket(fileno=settings["fd"])
listener.setblocking(False)
selector = selectors.DefaultSelector()
selector.register(woken, selectors.EVENT_READ)
selector.register(sys.stdin, selectors.EVENT_READ)
if mood != "silent":
    selector.register(listener, selectors.EVENT_READ)
    note("ready")
    print("a stray line", json.dumps({"ready": True, "more": 1}), sep="\\n", flush=True)
if mood == "chatty":
    print("x" * 1_000_000, json.dumps({"ready": True}), sep="\\n", flush=True)
    note("has said it all")

while not stopping:
    for key, _ in selector.select():
        if key.fileobj is woken:
            woken.recv(100)
        elif key.fileobj is listener and not stopping:
            serve()
        elif key.fileobj is sys.stdin and not os.read(0, 1):
            selector.unregister(sys.stdin)
            note("end of stdin")
while Path("busy").exists():
    time.sleep(0.01)
note("drained")
"""
"""Serves on a socket that it inherits, and writes down in `notes` what happens to it."""

SUPERVISOR: Final = """
import asyncio, socket, sys, time
from pathlib import Path
import uvloop
from allocator.logs import configure_logs
from allocator.supervision.child import Program
from allocator.supervision.place import Patience
from allocator.supervision.supervisor import Supervisor

async def supervise():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    Path("port").write_text(str(listener.getsockname()[1]))
    program = Program(
        command=(sys.executable, "worker.py"),
        settings=lambda place: {"place": place, "fd": listener.fileno(), "secret": secret},
        pass_fds=(listener.fileno(),),
    )
    supervisor = Supervisor(2, program, patience=Patience(), clock=lambda: time.time_ns() // 10**6)
    return await supervisor.run()

configure_logs("info")
secret = sys.stdin.readline()
sys.exit({"uvloop": uvloop.run, "asyncio": asyncio.run}[sys.argv[1]](supervise()))
"""
"""Supervises two such workers, on the event loop that its argument names; told a secret."""
