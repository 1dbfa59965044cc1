// SPDX-FileCopyrightText: 2026 The mailaas authors
// SPDX-License-Identifier: Apache-2.0

import java.io.FileReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import javax.mail.Message;
import javax.mail.Session;
import javax.mail.Transport;
import javax.mail.internet.InternetAddress;
import javax.mail.internet.MimeMessage;

/**
 * Send one message by Java mail, with the settings in a file of Spring's properties, as Spring's
 * JavaMailSenderImpl does: spring.mail.properties.* are the session's, the others connect.
 */
public class Send {
    private static final String PREFIX = "spring.mail.";
    private static final String SESSION = PREFIX + "properties.";

    public static void main(String[] arguments) throws Exception {
        Properties spring = new Properties();
        try (FileReader file = new FileReader(arguments[0])) {
            spring.load(file);
        }
        Properties session = new Properties();
        for (String name : spring.stringPropertyNames()) {
            if (name.startsWith(SESSION)) {
                session.setProperty(name.substring(SESSION.length()), spring.getProperty(name));
            }
        }
        MimeMessage message = new MimeMessage(Session.getInstance(session));
        message.setFrom(new InternetAddress(System.getenv("LOGIN")));
        message.setRecipient(
            Message.RecipientType.TO, new InternetAddress(System.getenv("RECIPIENT")));
        message.setSubject(System.getenv("SUBJECT"));
        message.setText(
            new String(System.in.readAllBytes(), StandardCharsets.UTF_8),
            StandardCharsets.UTF_8.name());
        message.saveChanges();
        Transport transport = Session.getInstance(session).getTransport("smtp");
        transport.connect(
            spring.getProperty(PREFIX + "host"),
            Integer.parseInt(spring.getProperty(PREFIX + "port")),
            spring.getProperty(PREFIX + "username"),
            spring.getProperty(PREFIX + "password"));
        transport.sendMessage(message, message.getAllRecipients());
        transport.close();
    }
}
