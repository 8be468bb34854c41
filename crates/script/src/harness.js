// The environment of one program: the globals its function sees, and the entries through which it is called.
//
// Evaluates to a function `(design, host, limits, dialect)`, which prepares the global object of its context and answers with
// `bind(fn)`. What is used after the program has run is captured here, before it could have changed anything.
(function (design, host, limits, dialect) {
"use strict";

const global = globalThis;
const { parse, stringify } = JSON;
const { keys, freeze, hasOwn, isFrozen } = Object;
const { isArray } = Array;
const { apply, defineProperty, deleteProperty, get, getOwnPropertyDescriptor, has, ownKeys } = Reflect;
const { preventExtensions, set, setPrototypeOf } = Reflect;
const { includes, isWellFormed, slice, split, toWellFormed } = String.prototype;
const text = String;
const compile = eval;
const ProxyObject = Proxy;
const tag = Object.prototype.toString;
const objects = Object.prototype;
const bindTo = Function.prototype.bind;

// Lazy documents. A document is its text and an object with those members that the function has read before. Reading
// another one parses the text, and the name is learned for later calls. Whatever reading members doesn't do makes the
// target a plain object with all members, and takes the traps away. A function can't tell it from a parsed document.

const slots = [newSlot(0), newSlot(1), newSlot(2), newSlot(3), newSlot(4)];

function Lazy(slot, source, read) {
  this.known = slot.known;
  this.read = read;
  this.source = source;
  this.slot = slot;
}

// The names a slot knows are `true`; `false` where all objects have something by that name, which may ask who reads it.
function newSlot(index) {
  return { __proto__: null, index, known: { __proto__: null }, calls: 0, opened: 0 };
}

function lazy(slot, source, read) {
  if (source === undefined) return read;
  slot.calls++;
  return new ProxyObject({}, new Lazy(slot, source, read));
}

const traps = {
  __proto__: null,
  get(target, key, receiver) {
    const known = this.known[key];
    if (known === true) return this.read[key];
    if (known === undefined) {
      if (typeof key === "symbol") return get(target, key, receiver);
      fetch(this, key);
    }
    return get(this.read, key, receiver);
  },
  has(target, key) {
    if (typeof key === "symbol") return has(target, key);
    if (this.known[key] === undefined) fetch(this, key);
    return has(this.read, key);
  },
  getOwnPropertyDescriptor(target, key) {
    if (typeof key === "symbol") return getOwnPropertyDescriptor(target, key);
    if (this.known[key] === undefined) fetch(this, key);
    return getOwnPropertyDescriptor(this.read, key);
  },
  set(target, key, value, receiver) {
    open(this, target);
    return set(target, key, value, receiver);
  },
  defineProperty(target, key, descriptor) {
    open(this, target);
    return defineProperty(target, key, descriptor);
  },
  deleteProperty(target, key) {
    open(this, target);
    return deleteProperty(target, key);
  },
  ownKeys(target) {
    open(this, target);
    return ownKeys(target);
  },
  setPrototypeOf(target, prototype) {
    open(this, target);
    return setPrototypeOf(target, prototype);
  },
  preventExtensions(target) {
    open(this, target);
    return preventExtensions(target);
  },
};

Lazy.prototype = traps;

function whole(document) {
  if (typeof document.source === "string") document.source = parse(document.source);
  return document.source;
}

function put(object, key, value) {
  defineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

function fetch(document, key) {
  const all = whole(document);
  const { slot, read } = document;
  if (hasOwn(all, key) && !hasOwn(read, key)) put(read, key, all[key]);
  // The scanner that projects documents sees U+FFFD for what isn't Unicode, so such names are not for it.
  if (slot.known[key] === undefined && apply(isWellFormed, key, []) && !apply(includes, key, ["\ufffd"])) {
    // In this order: should memory end in between, the host knows more names than are taken for known, never fewer.
    host.learn(slot.index, key);
    slot.known = { __proto__: null, ...slot.known, [key]: !has(objects, key) };
  }
  // Other documents may have learned more since this one was made.
  const names = keys(slot.known);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (hasOwn(all, name) && !hasOwn(read, name)) put(read, name, all[name]);
  }
  document.known = slot.known;
}

function open(document, target) {
  const all = whole(document);
  const names = ownKeys(all);
  for (let i = 0; i < names.length; i++) {
    const key = names[i];
    put(target, key, hasOwn(document.read, key) ? document.read[key] : all[key]);
  }
  setPrototypeOf(document, null);
  const { slot } = document;
  document.source = document.read = document.known = document.slot = undefined;
  if (++slot.opened >= limits.opened && slot.opened * 4 > slot.calls) host.learn(slot.index, undefined);
}

// Globals.

function deepFreeze(value) {
  if (value === null || typeof value !== "object" || isFrozen(value)) return value;
  freeze(value);
  const names = ownKeys(value);
  for (let i = 0; i < names.length; i++) deepFreeze(value[names[i]]);
  return value;
}

function printed(value) {
  if (typeof value === "string") return value;
  if (isErrorLike(value)) return stringify({ error: value.name, message: value.message });
  return text(stringify(value));
}

function isErrorLike(value) {
  return value !== null && typeof value === "object" && "stack" in value && "name" in value && "message" in value;
}

let collect = false;
let emitted = 0;
let rows = [];

function emit(key, value) {
  emitted++;
  if (!collect) return;
  if (emitted > limits.rows) throw ["error", "too_many_rows", `More than ${limits.rows} rows emitted for one document`];
  const at = rows.length;
  put(rows, at, stringify(key) ?? "null");
  put(rows, at + 1, stringify(value) ?? "null");
}

function sum(values) {
  let total = 0;
  for (const i in values) total += values[i];
  return total;
}

const modules = { __proto__: null };

function invalidPath(reason) {
  return ["error", "invalid_require_path", reason];
}

// Where `path` leads, as a place: its `value`, its `parent` place and its `id`. A relative path starts at `from`, the place
// that holds the asking module; others, and those of the function itself, at the design document.
function resolve(path, from) {
  const names = apply(split, path, ["/"]);
  const isRelative = names[0] === "." || names[0] === "..";
  let place = (isRelative && from) || { value: design, parent: undefined, id: undefined };
  for (let i = 0; i < names.length; i++) place = step(place, names[i]);
  if (typeof place.value !== "string") throw invalidPath(`Must require a JavaScript string, not: ${typeof place.value}`);
  return place;
}

function step(place, name) {
  if (name === ".") return place;
  const { value, parent } = place;
  if (name === "..") {
    if (parent === undefined) throw invalidPath(`Object has no parent ${stringify(value)}`);
    return parent;
  }
  const inner = value !== null && typeof value === "object" && hasOwn(value, name) ? value[name] : undefined;
  if (inner === undefined) throw invalidPath(`Object has no property "${name}". ${stringify(value)}`);
  return { value: inner, parent: place, id: place.id === undefined ? name : `${place.id}/${name}` };
}

function load(path, from) {
  const place = resolve(text(path), from);
  const { id } = place;
  if (modules[id] !== undefined) return modules[id].exports;
  // A module that asks for one which is asking for it gets what that has exported so far: cycles end.
  const module = { id, exports: {}, parent: place.parent, current: place.value };
  modules[id] = module;
  try {
    const body = compile(`(function (module, exports, require) { ${place.value}\n})`);
    apply(body, global, [module, module.exports, (inner) => load(inner, place.parent)]);
  } catch (error) {
    delete modules[id];
    if (isLimit(error)) throw error;
    throw ["error", "compilation_error", `Module require('${path}') raised error ${described(error)}`];
  }
  return module.exports;
}

// Whether the engine said that memory or stack are used up.
function isLimit(error) {
  return isErrorLike(error) && (error.name === "InternalError" || error.name === "RangeError");
}

function described(error) {
  if (isArray(error)) return text(error[2]);
  try {
    return isErrorLike(error) ? `${error.name}: ${error.message}` : text(stringify(error));
  } catch {
    return "of an unknown kind";
  }
}

function install(name, value) {
  defineProperty(global, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });
}

// A global made by the code that `source` answers, when it is asked for.
function defer(name, source) {
  let made;
  defineProperty(global, name, {
    __proto__: null,
    get() { return (made ??= compile(source())); },
    set(value) { defineProperty(global, name, { __proto__: null, value, writable: true, enumerable: true, configurable: true }); },
    enumerable: false,
    configurable: true,
  });
}

function wellFormed(value) {
  return apply(toWellFormed, value, []);
}

const sync = dialect?.(host, limits, { install, defer, printed, wellFormed });
const { begin, end } = sync ?? {};
if (sync === undefined) {
  install("emit", emit);
  install("isArray", function (value) { return isArray(value); });
  install("log", function (message) { host.log(0, wellFormed(printed(message))); });
  install("sum", sum);
  install("toJSON", stringify);
}
if (design !== undefined) {
  deepFreeze(design);
  install("require", function (path) { return load(path, undefined); });
}
// What is given stands in the prototype of the global object, so that the object itself has what a function left only.
const given = {};
for (const name of ownKeys(global)) {
  const descriptor = getOwnPropertyDescriptor(global, name);
  if (!descriptor.configurable) continue;
  defineProperty(given, name, descriptor);
  deleteProperty(global, name);
}
setPrototypeOf(global, freeze(given));

// Entries.

let kept = { __proto__: null };
let keptCount = 0;

// Variables that a function forgot to declare end with the call.
function sweep() {
  const names = keys(global);
  if (names.length === keptCount) return;
  for (let i = 0; i < names.length; i++) if (!(names[i] in kept)) deleteProperty(global, names[i]);
}

function message(value) {
  return apply(toWellFormed, typeof value === "string" ? value : text(stringify(value)), []);
}

function told(error, reason) {
  return { __proto__: null, error: message(error), reason: message(reason) };
}

// What was thrown.
function failure(error) {
  try {
    // Hardly anybody throws `null` but the engine, when no memory is left for an exception.
    if (error === null) return told("InternalError", "out of memory");
    if (typeof error !== "object") return told("unknown_error", error);
    if (isArray(error) && (error[0] === "error" || error[0] === "fatal")) return told(error[1], error[2]);
    if (error.name && error.stack) return told(error.name, error.message);
    if (error.error && error.reason) return told(error.error, error.reason);
    if (error.name) return told(error.name, error.message ?? error);
    return told("unnamed_error", error);
  } catch {
    return told("unknown_error", "what was thrown can't be told");
  }
}

// What was thrown by a validation: `verdict` is set if that is what it is.
function refusal(error) {
  try {
    if (error !== null && typeof error === "object" && !isArray(error) && !(error.name && error.stack)) {
      for (const verdict of ["forbidden", "unauthorized"]) {
        if (hasOwn(error, verdict)) return { __proto__: null, verdict, reason: message(error[verdict]) };
      }
      const names = keys(error);
      if (names.length === 1) return told("unknown_error", error[names[0]]);
    }
  } catch {
    // Told below.
  }
  return failure(error);
}

// With the place where it was thrown.
function placed(refused, error) {
  try {
    if (isErrorLike(error) && typeof error.stack === "string") refused.stack = wellFormed(error.stack);
  } catch {
    // Nobody knows the place.
  }
  return refused;
}

return function bind(fn) {
  if (typeof fn !== "function") throw "Expression does not eval to a function.";
  const kind = apply(tag, fn, []);
  if (kind !== "[object Function]") throw `A function must be an ordinary one, not ${apply(slice, kind, [8, -1])}.`;
  const names = keys(global);
  for (let i = 0; i < names.length; i++) kept[names[i]] = true;
  keptCount = names.length;
  const [first, second] = slots;
  const call = design === undefined ? fn : apply(bindTo, fn, [design]);

  return {
    __proto__: null,
    untouched(index, source) {
      return lazy(slots[index], source, {});
    },
    validate(source, read, oldSource, oldRead, user, security) {
      try {
        call(lazy(first, source, read), lazy(second, oldSource, oldRead), user, security);
      } catch (error) {
        return refusal(error);
      } finally {
        sweep();
      }
    },
    sync(source, read, oldSource, oldRead, meta, user) {
      begin(user);
      try {
        call(lazy(first, source, read), lazy(second, oldSource, oldRead), meta);
        return end();
      } catch (error) {
        return placed(refusal(error), error);
      } finally {
        sweep();
      }
    },
    filter(source, read, request) {
      try {
        return !!call(lazy(first, source, read), request);
      } catch (error) {
        return failure(error);
      } finally {
        sweep();
      }
    },
    passes(source, read) {
      collect = false;
      emitted = 0;
      try {
        fn(lazy(first, source, read));
        return emitted > 0;
      } catch (error) {
        return failure(error);
      } finally {
        sweep();
      }
    },
    map(source, read) {
      collect = true;
      emitted = 0;
      rows = [];
      try {
        fn(lazy(first, source, read));
        return emitted > 0 ? rows : undefined;
      } catch (error) {
        return failure(error);
      } finally {
        rows = [];
        sweep();
      }
    },
  };
};
})
