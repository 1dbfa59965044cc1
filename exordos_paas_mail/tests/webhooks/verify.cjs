// SPDX-FileCopyrightText: 2026 The mailaas authors
// SPDX-License-Identifier: Apache-2.0
//
// What standardwebhooks of npm says of each {secret, headers, body} of the list on stdin: the
// payload, or the name of the error.
const { Webhook } = require("standardwebhooks");

const said = JSON.parse(require("fs").readFileSync(0, "utf8")).map(({ secret, headers, body }) => {
  try {
    return new Webhook(secret).verify(body, headers);
  } catch (error) {
    return error.constructor.name;
  }
});
process.stdout.write(JSON.stringify(said));
