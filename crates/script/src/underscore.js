// The part of Underscore that sync functions use: evaluated when a function first asks for `_`.
(function () {
"use strict";

const isObject = (value) => value !== null && (typeof value === "object" || typeof value === "function");
const values = (list) => (list === null || list === undefined ? [] : Array.isArray(list) ? list : Object.values(list));
const has = (object, key) => object !== null && object !== undefined && Object.hasOwn(object, key);

// What Underscore takes for a function: a function, the name of a member, members to be equal, or nothing.
function callback(how, context) {
  if (how === undefined || how === null) return (value) => value;
  if (typeof how === "function") return context === undefined ? how : how.bind(context);
  if (isObject(how)) return (value) => Object.keys(how).every((key) => isObject(value) && value[key] === how[key]);
  return (value) => (value === null || value === undefined ? undefined : value[how]);
}

function entries(list) {
  if (list === null || list === undefined) return [];
  return Array.isArray(list) ? list.map((value, index) => [value, index]) : Object.keys(list).map((key) => [list[key], key]);
}

function equal(a, b, seen) {
  if (Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (a instanceof Date && b instanceof Date) return +a === +b;
  if (Array.isArray(a) !== Array.isArray(b) || typeof a === "function" || typeof b === "function") return false;
  if (seen.some(([x, y]) => x === a && y === b)) return true;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const within = [...seen, [a, b]];
  return names.every((name) => has(b, name) && equal(a[name], b[name], within));
}

function flatten(list, isShallow) {
  return values(list).flat(isShallow ? 1 : Infinity);
}

function uniq(list) {
  return [...new Set(values(list))];
}

const _ = {
  each(list, how, context) {
    const call = callback(how, context);
    for (const [value, key] of entries(list)) call(value, key, list);
    return list;
  },
  map: (list, how, context) => {
    const call = callback(how, context);
    return entries(list).map(([value, key]) => call(value, key, list));
  },
  reduce(list, how, ...start) {
    return entries(list).reduce(
      (total, [value, key], index) => (index === 0 && start.length === 0 ? value : how(total, value, key, list)),
      start[0],
    );
  },
  filter: (list, how, context) => {
    const call = callback(how, context);
    return entries(list).filter(([value, key]) => call(value, key, list)).map(([value]) => value);
  },
  reject: (list, how, context) => {
    const call = callback(how, context);
    return _.filter(list, (value, key) => !call(value, key, list));
  },
  find: (list, how, context) => _.filter(list, how, context)[0],
  every: (list, how, context) => {
    const call = callback(how, context);
    return entries(list).every(([value, key]) => call(value, key, list));
  },
  some: (list, how, context) => {
    const call = callback(how, context);
    return entries(list).some(([value, key]) => call(value, key, list));
  },
  contains: (list, value) => values(list).includes(value),
  pluck: (list, name) => _.map(list, name),
  where: (list, members) => _.filter(list, members),
  findWhere: (list, members) => _.find(list, members),
  size: (list) => values(list).length,
  first: (list, count) => (count === undefined ? values(list)[0] : values(list).slice(0, count)),
  last: (list, count) => (count === undefined ? values(list).at(-1) : count === 0 ? [] : values(list).slice(-count)),
  compact: (list) => values(list).filter((value) => value),
  flatten,
  uniq,
  union: (...lists) => uniq(lists.flatMap((list) => values(list))),
  intersection: (list, ...others) => uniq(list).filter((value) => others.every((other) => values(other).includes(value))),
  difference: (list, ...others) => values(list).filter((value) => !others.some((other) => values(other).includes(value))),
  without: (list, ...others) => values(list).filter((value) => !others.includes(value)),
  indexOf: (list, value) => values(list).indexOf(value),
  keys: (object) => (isObject(object) ? Object.keys(object) : []),
  values: (object) => (isObject(object) ? Object.values(object) : []),
  pairs: (object) => (isObject(object) ? Object.entries(object) : []),
  has,
  extend: (object, ...sources) => Object.assign(object, ...sources),
  defaults: (object, ...sources) => {
    for (const source of sources) for (const key of _.keys(source)) if (object[key] === undefined) object[key] = source[key];
    return object;
  },
  clone: (value) => (!isObject(value) ? value : Array.isArray(value) ? [...value] : { ...value }),
  pick: (object, ...names) => {
    const wanted = names.flat();
    return Object.fromEntries(_.pairs(object).filter(([name]) => wanted.includes(name)));
  },
  omit: (object, ...names) => {
    const unwanted = names.flat();
    return Object.fromEntries(_.pairs(object).filter(([name]) => !unwanted.includes(name)));
  },
  isEqual: (a, b) => equal(a, b, []),
  isEmpty: (value) => (typeof value === "string" ? value.length : _.keys(value).length) === 0,
  isArray: (value) => Array.isArray(value),
  isObject,
  isString: (value) => typeof value === "string",
  isNumber: (value) => typeof value === "number",
  isBoolean: (value) => typeof value === "boolean",
  isFunction: (value) => typeof value === "function",
  isDate: (value) => value instanceof Date,
  isNull: (value) => value === null,
  isUndefined: (value) => value === undefined,
  identity: (value) => value,
};
Object.assign(_, {
  forEach: _.each,
  collect: _.map,
  inject: _.reduce,
  foldl: _.reduce,
  select: _.filter,
  detect: _.find,
  all: _.every,
  any: _.some,
  include: _.contains,
  includes: _.contains,
  unique: _.uniq,
  head: _.first,
  assign: _.extend,
});
return _;
})()
