// What a sync function finds beside the language.
//
// Evaluates to a function `(host, limits, tools)`, which installs the functions and answers with `begin` and `end` of a call.
// What the function says is told to the host as one flat array: a string is a channel; a number, a grantee and a name are a
// grant of access (0) or of a role (1). The host knows which names are good.
(function (host, limits, tools) {
"use strict";

const { install, defer, printed, wellFormed } = tools;
const { isArray } = Array;
const [info, warning, error] = [0, 1, 2];
const [access, role] = [0, 1];
const [roles, channels] = [0, 1];
const { channels: channelsMax, grants: grantsMax } = limits;

let out;
let size = 0;
let channelCount = 0;
let grantCount = 0;
// The user's name; without one, everything required is granted.
let userName;

function tooMany(what, max) {
  return ["error", `too_many_${what}`, `More than ${max} ${what} for one document`];
}

function ignore(word, value) {
  host.log(warning, `${word}() ignores what is neither a string nor an array of strings: ${isArray(value) ? "array" : typeof value}`);
}

// It runs for each write: strings are taken where they are found.
function addChannels(value) {
  if (value === null || value === undefined) return;
  out ??= [];
  if (typeof value === "string") {
    if (++channelCount > channelsMax) throw tooMany("channels", channelsMax);
    out[size++] = value;
  } else if (isArray(value)) {
    for (let i = 0, { length } = value; i < length; i++) {
      const each = value[i];
      if (typeof each === "string") {
        if (++channelCount > channelsMax) throw tooMany("channels", channelsMax);
        out[size++] = each;
      } else if (each !== null && each !== undefined) ignore("channel", each);
    }
  } else ignore("channel", value);
}

// The strings that `value` is, or holds.
function strings(word, value) {
  if (typeof value === "string") return [value];
  const found = [];
  if (value === null || value === undefined) return found;
  if (!isArray(value)) {
    ignore(word, value);
    return found;
  }
  let count = 0;
  for (let i = 0; i < value.length; i++) {
    const each = value[i];
    if (typeof each === "string") found[count++] = each;
    else if (each !== null && each !== undefined) ignore(word, each);
  }
  return found;
}

function addGrant(kind, grantee, name) {
  if (++grantCount > grantsMax) throw tooMany("grants", grantsMax);
  out ??= [];
  out[size++] = kind;
  out[size++] = grantee;
  out[size++] = name;
}

function grant(kind, word, to, what) {
  if (typeof to === "string" && typeof what === "string") return addGrant(kind, to, what);
  const grantees = strings(word, to);
  const names = strings(word, what);
  for (let i = 0; i < grantees.length; i++) {
    for (let j = 0; j < names.length; j++) addGrant(kind, grantees[i], names[j]);
  }
}

function isUser(value) {
  if (userName === "") return false;
  if (typeof value === "string") return value === userName;
  if (!isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (value[i] === userName) return true;
  return false;
}

function holds(kind, value) {
  if (typeof value === "string") return host.holds(kind, value);
  if (!isArray(value)) return false;
  for (let i = 0; i < value.length; i++) {
    const each = value[i];
    if (typeof each === "string" && host.holds(kind, each)) return true;
  }
  return false;
}

function log(level, values) {
  let line = "";
  for (let i = 0; i < values.length; i++) {
    if (i > 0) line += " ";
    try {
      line += printed(values[i]);
    } catch {
      line += "(what can't be printed)";
    }
  }
  host.log(level, wellFormed(line));
}

const logInfo = function (...values) { log(info, values); };

install("channel", function (first, ...others) {
  addChannels(first);
  for (let i = 0; i < others.length; i++) addChannels(others[i]);
});
install("access", function (users, names) { grant(access, "access", users, names); });
install("role", function (users, names) { grant(role, "role", users, names); });
install("requireUser", function (names) {
  if (userName !== undefined && !isUser(names)) throw { forbidden: "sg wrong user" };
});
install("requireRole", function (names) {
  if (userName !== undefined && !holds(roles, names)) throw { forbidden: "sg missing role" };
});
install("requireAccess", function (names) {
  if (userName !== undefined && !holds(channels, names)) throw { forbidden: "sg missing channel access" };
});
install("requireAdmin", function () {
  if (userName !== undefined) throw { forbidden: "sg admin required" };
});
install("expiry", function (value) {
  if (typeof value === "string" || typeof value === "number") host.expire(`${value}`);
  else if (value !== null && value !== undefined) {
    host.log(warning, `expiry() ignores what is neither a number nor a string: ${typeof value}`);
  }
});
install("log", logInfo);
install("console", {
  log: logInfo,
  info: logInfo,
  debug: logInfo,
  warn(...values) { log(warning, values); },
  error(...values) { log(error, values); },
});
defer("_", host.underscore);

return {
  __proto__: null,
  begin(user) {
    out = undefined;
    size = channelCount = grantCount = 0;
    userName = user;
  },
  end() {
    const said = out;
    out = undefined;
    return said;
  },
};
})
