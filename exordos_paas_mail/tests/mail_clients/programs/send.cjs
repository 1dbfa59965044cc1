// SPDX-FileCopyrightText: 2026 The mailaas authors
// SPDX-License-Identifier: Apache-2.0

// Send one message by a pool, as a web service does.
const fs = require("node:fs");
const nodemailer = require("/usr/local/lib/mail-clients/node_modules/nodemailer");

async function main() {
  const starttls = process.env.PORT === "587";
  const transport = nodemailer.createTransport({
    pool: true,
    host: process.env.SERVER,
    port: Number(process.env.PORT),
    secure: !starttls,
    requireTLS: starttls,
    auth: { user: process.env.LOGIN, pass: process.env.PASSWORD },
  });
  await transport.sendMail({
    from: process.env.LOGIN,
    to: process.env.RECIPIENT,
    subject: process.env.SUBJECT,
    text: fs.readFileSync(0, "utf8"),
  });
  transport.close();
}

main();
