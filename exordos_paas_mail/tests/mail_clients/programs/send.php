<?php
// SPDX-FileCopyrightText: 2026 The mailaas authors
// SPDX-License-Identifier: Apache-2.0

require "/usr/share/php/libphp-phpmailer/autoload.php";

$mail = new PHPMailer\PHPMailer\PHPMailer(true);
$mail->isSMTP();
$mail->Host = getenv("SERVER");
$mail->Port = (int) getenv("PORT");
$mail->SMTPSecure = $mail->Port === 587
    ? PHPMailer\PHPMailer\PHPMailer::ENCRYPTION_STARTTLS
    : PHPMailer\PHPMailer\PHPMailer::ENCRYPTION_SMTPS;
$mail->SMTPAuth = true;
$mail->Username = getenv("LOGIN");
$mail->Password = getenv("PASSWORD");
$mail->CharSet = "UTF-8";
$mail->setFrom(getenv("LOGIN"));
$mail->addAddress(getenv("RECIPIENT"));
$mail->Subject = getenv("SUBJECT");
$mail->Body = stream_get_contents(STDIN);
$mail->send();
