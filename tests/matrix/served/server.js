// Usage: server.js PORT LOG WORKERS. 0 workers: no cluster.
"use strict";
const cluster = require("node:cluster");
const fs = require("node:fs");
const http = require("node:http");

const [port, log, workers] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];

if (workers && cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  http.createServer((_request, response) => {
    fs.appendFileSync(log, `${process.pid}\n`);
    response.end(`${process.pid}\n`);
  }).listen(port, "::");
}
