# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0

require "mail"

starttls = ENV["PORT"] == "587"
Mail.defaults do
  delivery_method :smtp,
                  address: ENV["SERVER"], port: ENV["PORT"].to_i,
                  user_name: ENV["LOGIN"], password: ENV["PASSWORD"], authentication: :plain,
                  enable_starttls: starttls, tls: !starttls
end
text = $stdin.read
Mail.deliver do
  from ENV["LOGIN"]
  to ENV["RECIPIENT"]
  subject ENV["SUBJECT"]
  body text
  self.charset = "UTF-8"
end
