"""Writes the vectors beside this file: an implementation of docs/spec/checkpoint.md that shares no code with the
packages, written from the text. Standard library only; Ed25519 after RFC 8032 section 6. Run: python3 make.py"""

import base64, hashlib, json, pathlib, struct

H = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
b64 = lambda data: base64.b64encode(data).decode()


# RFC 6962 section 2.1
def mth(leaves):
    if not leaves:
        return H()
    if len(leaves) == 1:
        return H(b"\x00", leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return H(b"\x01", mth(leaves[:k]), mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


# State map, checkpoint.md section 4
def bit(p, depth):
    return p[depth // 8] >> (7 - depth % 8) & 1


def state(entries, depth=0):
    if not entries:
        return H(b"\x12")
    if len(entries) == 1:
        ((p, v),) = entries
        return H(b"\x10", p, v)
    return H(b"\x11", *(state([e for e in entries if bit(e[0], depth) == side], depth + 1) for side in (0, 1)))


def prove(entries, p):
    siblings, depth = [], 0
    while len(entries) > 1:
        siblings.append(state([e for e in entries if bit(e[0], depth) != bit(p, depth)], depth + 1))
        entries = [e for e in entries if bit(e[0], depth) == bit(p, depth)]
        depth += 1
    other = None if not entries or entries[0][0] == p else {"path": b64(entries[0][0]), "valueHash": b64(entries[0][1])}
    return {"siblings": [b64(s) for s in siblings], **({"other": other} if other else {})}


def canonical(value):  # RFC 8785, for the ASCII names and integers used here
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# RFC 8032 section 6, signing only
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + D * a[0] * b[0] * a[1] * b[1], P - 2, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - D * a[0] * b[0] * a[1] * b[1], P - 2, P)
    return x % P, y % P


def mul(n, point):
    out = (0, 1)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def base():
    y = 4 * pow(5, P - 2, P) % P
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x), y


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def sign(seed, message):
    h = hashlib.sha512(seed).digest()
    a = int.from_bytes(h[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    public = encode(mul(a, base()))
    r = int.from_bytes(hashlib.sha512(h[32:] + message).digest(), "little") % L
    big_r = encode(mul(r, base()))
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % L
    return public, big_r + ((r + k * a) % L).to_bytes(32, "little")


# Checkpoint, checkpoint.md section 5
def checkpoint(origin, size, root, state_root, time, seed):
    text = f"{origin}\n{size}\n{b64(root)}\nstate {b64(state_root)}\n"
    public, signature = sign(seed, f"cosignature/v1\ntime {time}\n{text}".encode())
    key_id = H(origin.encode(), b"\n\x04", public)[:4]
    line = b64(key_id + struct.pack(">Q", time) + signature)
    return public, f"{text}\n\u2014 {origin} {line}\n"


def write(name, value):
    value = {"source": "make.py beside this file, from docs/spec/checkpoint.md", **value}
    here = pathlib.Path(__file__).parent
    (here / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


leaves = [f"leaf {i}" for i in range(9)]
raw = [leaf.encode() for leaf in leaves]
write("tree.json", {
    "leaves": leaves,
    "roots": [b64(mth(raw[:n])) for n in range(len(raw) + 1)],
    "inclusion": [{"index": i, "size": n, "proof": [b64(h) for h in path(i, raw[:n])]} for n in (1, 7, 9) for i in range(n)],
})

records = {f"group/g{i}": {"parents": [], "protected": i % 2 == 0, "status": "active"} for i in range(12)}
pairs = sorted((H(k.encode()), H(canonical(v))) for k, v in records.items())
steps, sofar = [], []
for k, v in records.items():
    sofar.append((H(k.encode()), H(canonical(v))))
    steps.append({"key": k, "value": v, "root": b64(state(sofar))})
# A key whose place is empty: its proof shows no other leaf.
alone = next(k for k in map("agent/{}".format, range(1000)) if "other" not in prove(pairs, H(k.encode())))
asked = [alone, "group/g0", "group/g7", "group/none", "account", "principal/nobody", "group/g12"]
write("state-map.json", {
    "empty": b64(state([])),
    "steps": steps,
    "proofs": [{"key": k, "value": records.get(k), "proof": prove(pairs, H(k.encode()))} for k in asked],
})

seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, 7.1, test 1
origin = "log.example/a"
public, note = checkpoint(origin, 9, mth(raw), state(pairs), 1800000000, seed)
write("checkpoint.json", {
    "origin": origin,
    "logKey": {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")},
    "size": 9,
    "root": b64(mth(raw)),
    "state": b64(state(pairs)),
    "time": 1800000000,
    "note": note,
})
