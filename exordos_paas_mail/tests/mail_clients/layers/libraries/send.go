// SPDX-FileCopyrightText: 2026 The mailaas authors
// SPDX-License-Identifier: Apache-2.0

// Send one message with Go's own net/smtp; the text is on the standard input.
package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/smtp"
	"os"
	"strings"
)

func main() {
	server, port := os.Getenv("SERVER"), os.Getenv("PORT")
	login, recipient := os.Getenv("LOGIN"), os.Getenv("RECIPIENT")
	text, err := io.ReadAll(os.Stdin)
	check(err)
	message := "From: " + login + "\r\nTo: " + recipient +
		"\r\nSubject: " + os.Getenv("SUBJECT") +
		"\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: 8bit\r\n\r\n" +
		strings.ReplaceAll(string(text), "\n", "\r\n")
	auth := smtp.PlainAuth("", login, os.Getenv("PASSWORD"), server)
	if port == "587" {
		check(smtp.SendMail(server+":"+port, auth, login, []string{recipient}, []byte(message)))
		return
	}
	connection, err := tls.Dial("tcp", server+":"+port, nil)
	check(err)
	client, err := smtp.NewClient(connection, server)
	check(err)
	check(client.Auth(auth))
	check(client.Mail(login))
	check(client.Rcpt(recipient))
	data, err := client.Data()
	check(err)
	_, err = data.Write([]byte(message))
	check(err)
	check(data.Close())
	check(client.Quit())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
