# SPDX-License-Identifier: Apache-2.0
# The routes of the truth tests (the same as in httpd.py), for puma.
class Chunks
  def each
    5.times { yield 'c' * 701 }
  end
end

run(lambda do |env|
  env['rack.input'].read
  kind = env['PATH_INFO'].split('/')[1]
  reply = ->(status, body) { [status, { 'content-type' => 'text/plain', 'content-length' => body.bytesize.to_s }, env['REQUEST_METHOD'] == 'HEAD' ? [] : [body]] }
  case kind
  when 'items' then env['REQUEST_METHOD'] == 'DELETE' ? [204, {}, []] : reply.(200, "one item: #{env['PATH_INFO']}\n")
  when 'upload' then reply.(201, "stored\n")
  when 'big' then reply.(200, 'b' * 200_003)
  when 'chunks' then [200, { 'content-type' => 'text/plain' }, Chunks.new] # no length given
  when 'slow' then sleep(0.053) && reply.(200, "at last\n")
  when 'fail' then reply.(500, "no\n")
  when 'busy' then reply.(503, "later\n")
  else reply.(404, "none\n")
  end
end)
