#!/usr/bin/perl
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

use strict;
use warnings;
use Email::Sender::Simple qw(sendmail);
use Email::Sender::Transport::SMTP;
use Email::Simple;

my $message = Email::Simple->create(
    header => [
        From                        => $ENV{LOGIN},
        To                          => $ENV{RECIPIENT},
        Subject                     => $ENV{SUBJECT},
        'MIME-Version'              => '1.0',
        'Content-Type'              => 'text/plain; charset=utf-8',
        'Content-Transfer-Encoding' => '8bit',
    ],
    body => do { local $/ = undef; <STDIN> },
);
my $transport = Email::Sender::Transport::SMTP->new(
    host          => $ENV{SERVER},
    port          => $ENV{PORT},
    ssl           => $ENV{PORT} == 587 ? 'starttls' : 'ssl',
    sasl_username => $ENV{LOGIN},
    sasl_password => $ENV{PASSWORD},
);
sendmail($message, { transport => $transport });
