# SPDX-License-Identifier: Apache-2.0
# Serves the routes of the truth tests (the same as httpd.py) over TLS, by WEBrick: httpd.rb PORT FOLDER, with the certificate there.
require 'webrick'
require 'webrick/https'

class Routes < WEBrick::HTTPServlet::AbstractServlet
  def service(request, response)
    request.body if %w[POST PUT].include?(request.request_method)
    kind = request.path.split('/')[1]
    response.status, response.body =
      case kind
      when 'items' then request.request_method == 'DELETE' ? [204, nil] : [200, "one item: #{request.path}\n"]
      when 'upload' then [201, "stored\n"]
      when 'big' then [200, 'b' * 200_003]
      when 'chunks' then [200, 'c' * 3505]
      when 'slow' then sleep(0.053) && [200, "at last\n"]
      when 'fail' then [500, "no\n"]
      when 'busy' then [503, "later\n"]
      else [404, "none\n"]
      end
    response.chunked = true if kind == 'chunks'
  end
end

port, folder = ARGV
server = WEBrick::HTTPServer.new(
  BindAddress: '127.0.0.1', Port: port.to_i, AccessLog: [], Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN), SSLEnable: true,
  SSLCertificate: OpenSSL::X509::Certificate.new(File.read("#{folder}/cert.pem")), SSLPrivateKey: OpenSSL::PKey.read(File.read("#{folder}/key.pem"))
)
server.mount('/', Routes)
trap('TERM') { server.shutdown }
server.start
