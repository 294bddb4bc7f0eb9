// Usage: fetch.js COUNT URL: that many requests, one after the other.
"use strict";

(async () => {
  for (let i = 0; i < Number(process.argv[2]); i++) await (await fetch(process.argv[3])).text();
})();
